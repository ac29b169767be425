# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults at chosen system calls of processes: what runs there is failed with an errno, killed, or looked at. Of several
processes the first to move is the one; the others are let go."""
import ctypes, os, signal, struct, time

import tracer
from nslib import libc
from process import PATIENCE
from system_calls import NAMES, NUMBERS
from tracer import Traced, ptrace

POKEUSER, SETOPTIONS, GETEVENTMSG = 6, 0x4200, 0x4201
O_FORKS = 2 | 4 | 8  # children by fork(2), vfork(2) and clone(2) are traced, too
FORKS = (1, 2, 3)  # the events of these
ORIG_RAX, RAX = 15 * 8, 10 * 8
SUPPORTED = os.uname().machine == 'x86_64'

# Made by the allocator and the dynamic linker at any time: no program can be asked to survive these.
CALLS_OF_LIBC = tuple(NUMBERS[name] for name in ('mmap', 'brk', 'munmap', 'mprotect'))


class Fault:
    """At the system call number `count` since the last fault, or since the begin; of the calls in `only`, if there are
    any, and, with `about`, with a descriptor of a file whose path ends so. `do(victim)` is run while the victim stands
    before the call."""

    def __init__(self, count, do, only=(), about=''):
        self.count, self.do, self.about = count, do, about
        self.only = {NUMBERS[name] for name in only}
        self.name = None  # of the call, once it was hit

    def concerns(self, victim):
        number, first = call_of(victim.pid)
        if number in CALLS_OF_LIBC or self.only and number not in self.only:
            return False
        if not self.about:
            return True
        try:
            return os.readlink('/proc/%d/fd/%d' % (victim.pid, first)).endswith(self.about)
        except OSError:
            return False


def fail(code):
    """The call is not made; it returns this errno value."""
    def do(victim):
        ptrace_user(POKEUSER, victim.pid, ORIG_RAX, ctypes.c_ulong(-1).value)
        victim.result = -code
    return do


def kill(victim):
    tracer.finish(victim)
    victim.alive = False


def ptrace_user(request, pid, offset, value):
    if libc.ptrace(request, pid, ctypes.c_void_p(offset), ctypes.c_void_p(value)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), 'ptrace')


def call_of(pid):
    """The number and the first argument of the system call that a process stands before."""
    info = ctypes.create_string_buffer(128)
    if libc.ptrace(tracer.GET_SYSCALL_INFO, pid, ctypes.c_void_p(len(info)), ctypes.addressof(info)) < 0:
        return None, None
    return struct.unpack_from('=QQ', info.raw, 24)


class Victim(Traced):
    result = None

    def stopped_at(self, status):
        event = status >> 16
        if os.WIFSTOPPED(status) and event in FORKS:
            return 'child'
        return super().stopped_at(status)

    def detach(self):
        """Stands still first; a child that is just being born would stand still for ever."""
        if not self.alive:
            return
        ptrace(tracer.INTERRUPT, self.pid)
        while True:
            _, status = os.waitpid(self.pid, tracer.WALL)
            if not os.WIFSTOPPED(status):
                self.alive = False
                return
            number, event = status >> 8 & 0xff, status >> 16
            if event in FORKS:
                made = self.child()
                if made:
                    made.detach()
            if event == tracer.EVENT_STOP or number in (tracer.SYSCALL_STOP, signal.SIGTRAP):
                break
            ptrace(tracer.SYSCALL, self.pid, number)
        ptrace(tracer.DETACH, self.pid)

    def child(self):
        """Of the event that it has just been stopped for; the child stands still at its begin."""
        text = ctypes.create_string_buffer(8)
        if libc.ptrace(GETEVENTMSG, self.pid, None, ctypes.addressof(text)) < 0:
            return None
        made = Victim.__new__(Victim)
        made.pid, made.alive, made.inside, made.status = struct.unpack('=Q', text.raw)[0], True, False, 0
        try:
            os.waitpid(made.pid, tracer.WALL)
        except ChildProcessError:
            return None
        made.go()
        return made


class Injection:
    def __init__(self, processes, faults, children):
        self.faults, self.left = faults, list(faults)
        self.traced = [Victim(pid) for pid in processes]
        for one in self.traced:
            if children:
                ptrace(SETOPTIONS, one.pid, tracer.O_TRACESYSGOOD | O_FORKS)
            one.go()
        tracer.settle(self.traced)
        self.chosen, self.calls = None, 0

    def choose(self, one):
        if self.chosen is None:
            self.chosen = one
            tracer.release([other for other in self.traced if other is not one])
            self.traced = [one]

    def meet(self, one, what):
        """What is to be done about a stop of a victim."""
        if what == 'child':
            made = one.child()
            self.traced += [made] if made else []
        elif what == 'return' and one.result is not None:
            ptrace_user(POKEUSER, one.pid, RAX, ctypes.c_ulong(one.result).value)
            one.result = None
        elif what == 'call' and self.left:
            self.count(one)
        if one.alive:
            one.go()

    def count(self, one):
        fault = self.left[0]
        if not fault.concerns(one):
            return
        self.calls += 1
        if self.calls == fault.count:
            number, _ = call_of(one.pid)
            fault.name = NAMES.get(number, str(number))
            self.left.pop(0)
            self.calls = 0
            fault.do(one)

    def poll(self):
        moved = False
        for one in list(self.traced):
            if one not in self.traced:  # let go meanwhile
                continue
            what = one.poll() if one.alive else 'end'
            if what == 'end':
                self.traced.remove(one)
            if what in (None, 'signal', 'end'):
                continue
            self.choose(one)
            self.meet(one, what)
            moved = True
        return moved

    def is_done(self):
        return not self.left and not any(one.result is not None for one in self.traced)

    def run(self, act, is_over, timeout):
        act()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            moved = self.poll()
            if self.is_done() or is_over():
                break
            if not moved:
                time.sleep(0.0002)
        else:
            raise AssertionError('nothing came of it: %s' % [fault.name for fault in self.faults])
        tracer.release(self.traced)


def inject(processes, faults, act, is_over, children=False, timeout=4 * PATIENCE):
    """Runs `act`, and carries the faults out, one after the other. Ends with the last fault, or when is_over(). Gives
    the names of the calls that were hit."""
    injection = Injection(processes, faults, children)
    try:
        injection.run(act, is_over, timeout)
    except BaseException:
        tracer.release([one for one in injection.traced if one.alive])
        raise
    return [fault.name for fault in faults if fault.name]
