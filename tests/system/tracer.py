# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts the system calls of a process with ptrace(2), and ends it at a chosen one."""
import ctypes, os, signal, time

from nslib import libc

SYSCALL, DETACH = 24, 17
SEIZE, INTERRUPT, GET_SYSCALL_INFO = 0x4206, 0x4207, 0x420e
O_TRACESYSGOOD = 1
SYSCALL_STOP = signal.SIGTRAP | 0x80
EVENT_STOP = 128
WALL = 0x40000000

libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, ctypes.c_void_p(data)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), 'ptrace')


def wait_for_tracer():
    """In a child, before exec."""
    os.kill(os.getpid(), signal.SIGSTOP)


class Traced:
    """A process that stands still at each end of its system calls until it is told to go on."""

    def __init__(self, pid):
        self.pid, self.alive, self.inside, self.status = pid, True, False, 0
        ptrace(SEIZE, pid, O_TRACESYSGOOD)
        ptrace(INTERRUPT, pid)
        os.waitpid(pid, WALL)

    def go(self, number=0):
        """On to the next stop."""
        try:
            ptrace(SYSCALL, self.pid, number)
        except ProcessLookupError:
            self.alive = False

    def stopped_at(self, status):
        """What a status of waitpid(2) means: 'call', 'return', 'signal' or 'end'; goes on by itself where nothing is
        to be decided."""
        if not os.WIFSTOPPED(status):
            self.alive = False
            self.status = status
            return 'end'
        number = status >> 8 & 0xff
        if number == SYSCALL_STOP:
            self.inside = not self.inside
            return 'call' if self.inside else 'return'
        # A group stop or the stop after PTRACE_INTERRUPT delivers nothing; a signal goes on to the process.
        self.go(0 if status >> 16 == EVENT_STOP or number == signal.SIGTRAP else number)
        return 'signal'

    def poll(self):
        """Like stopped_at(), None if nothing has happened yet."""
        try:
            pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
        except ChildProcessError:
            self.alive = False
            return 'end'
        return self.stopped_at(status) if pid else None

    def detach(self):
        if not self.alive:
            return
        ptrace(INTERRUPT, self.pid)
        while True:
            _, status = os.waitpid(self.pid, WALL)
            if not os.WIFSTOPPED(status):
                self.alive = False
                return
            number = status >> 8 & 0xff
            if status >> 16 == EVENT_STOP or number in (SYSCALL_STOP, signal.SIGTRAP):
                break
            ptrace(SYSCALL, self.pid, number)
        ptrace(DETACH, self.pid)


def number_of_call(pid):
    """Of the system call that a process stands before (PTRACE_GET_SYSCALL_INFO)."""
    info = ctypes.create_string_buffer(128)
    if libc.ptrace(GET_SYSCALL_INFO, pid, ctypes.c_void_p(len(info)), ctypes.addressof(info)) < 0:
        return None
    return int.from_bytes(info.raw[24:32], 'little')


def kill_start_at(pid, first, count, is_over, timeout=60):
    """Like kill_at(), for a child that called wait_for_tracer() before its exec; counts from the first call of number
    `first`."""
    os.waitpid(pid, os.WUNTRACED)
    one = Traced(pid)
    os.kill(pid, signal.SIGCONT)
    one.go()
    calls, end = 0, time.monotonic() + timeout
    while time.monotonic() < end:
        what = one.poll()
        if what == 'end':
            raise AssertionError('process %d ended by itself' % pid)
        if what == 'call' and (calls or number_of_call(pid) == first):
            calls += 1
            if calls == count:
                return finish(one)
        if what in ('call', 'return'):
            one.go()
        elif is_over():
            release([one])
            return False
    raise AssertionError('the start took too long')


def kill_at(processes, count, act, is_over, timeout=30):
    """Runs `act`, and kills that one of the processes (ids) that is the first to move at the begin of its system call
    number `count` from then on. The others are let go as soon as one has moved. Gives True if it was killed, False if
    is_over() came true before that many calls."""
    traced = [Traced(pid) for pid in processes]
    for one in traced:
        one.go()
    settle(traced)
    act()
    chosen, calls, end = None, 0, time.monotonic() + timeout
    while time.monotonic() < end:
        for one in traced:
            what = None if chosen not in (None, one) else one.poll()
            if what is None or what == 'signal':
                continue
            if what == 'end':
                raise AssertionError('process %d ended by itself, status %#x' % (one.pid, one.status))
            if chosen is None:
                chosen = one
                release([other for other in traced if other is not one])
            if what == 'call':
                calls += 1
                if calls == count:
                    return finish(chosen)
            one.go()
        if is_over():
            release([one for one in traced if chosen is None or one is chosen])
            return False
        time.sleep(0)
    raise AssertionError('nothing came of it')


def settle(traced):
    """Until all are back in the system call that the tracer interrupted."""
    end = time.monotonic() + 5
    while not all(one.inside for one in traced) and time.monotonic() < end:
        for one in traced:
            if one.poll() in ('call', 'return'):
                one.go()


def release(traced):
    for one in traced:
        one.detach()


def finish(one):
    os.kill(one.pid, signal.SIGKILL)
    try:
        while os.WIFSTOPPED(os.waitpid(one.pid, WALL)[1]):
            pass
    except ChildProcessError:
        pass
    return True
