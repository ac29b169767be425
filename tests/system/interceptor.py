# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that answers some calls otherwise than this one: a process that is asked about chosen calls of the service
(seccomp_unotify(2)), and lets them pass, refuses them, or says that they are done."""
import ctypes, errno, fcntl, os, select, struct

import bpf
from nslib import Child, close_but, libc, recv_fds, send_fds

SYS_SECCOMP = {'x86_64': 317, 'aarch64': 277}.get(os.uname().machine)
SET_MODE_FILTER, NEW_LISTENER = 1, 8
RECEIVE, SEND = 0xc0502100, 0xc0182101
PASS_ON = 1
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ASK = 0x7fff0000, 0x7fc00000
NUMBER, FIRST_ARGUMENT = 0, 16
SYS_OPEN_BY_HANDLE = {'x86_64': 304, 'aarch64': 265}.get(os.uname().machine)
NSFS_HANDLE = 0xf1
TRACING, LSM = 26, 29
ENOTSUPP = 524


def calls_of(number):
    """The filter that asks about all calls of one number."""
    return [(LOAD_WORD, 0, 0, NUMBER), (JUMP_IF_EQUAL, 1, 0, number), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]


def commands_of_bpf(commands):
    """The filter that asks about bpf(2) with one of these commands."""
    count = len(commands)
    code = [(LOAD_WORD, 0, 0, NUMBER), (JUMP_IF_EQUAL, 0, count + 1, bpf.SYS_BPF), (LOAD_WORD, 0, 0, FIRST_ARGUMENT)]
    code += [(JUMP_IF_EQUAL, count - at, 0, command) for at, command in enumerate(commands)]
    return code + [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ASK)]


def install(code):
    """In the process that is to be looked at; gives the descriptor to answer at."""
    text = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *one) for one in code))
    program = ctypes.create_string_buffer(struct.pack('@HP', len(code), ctypes.addressof(text)))
    words = [ctypes.c_long(word) for word in (SYS_SECCOMP, SET_MODE_FILTER, NEW_LISTENER)]
    listener = libc.syscall(*words, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), 'seccomp')
    return listener


class Interceptor:
    """`decide(arguments, process id)` gives None to let a call pass, 0 to say that it is done, or an errno value."""

    def __init__(self, code, decide):
        def body(control):
            close_but(control.fileno())  # namespaces of the test, for one
            control.send(b'x')
            _, (listener,) = recv_fds(control)
            while True:
                ready, _, _ = select.select([listener, control], [], [])
                if control in ready:
                    return
                answer(listener, decide)
        self.code = code
        self.child = Child(body)
        self.child.hello()

    def prepare(self):
        """For the service, before it begins."""
        listener = install(self.code)
        send_fds(self.child.s, b'x', [listener])
        os.close(listener)

    def close(self):
        self.child.close()


def answer(listener, decide):
    notice = bytearray(80)
    try:
        fcntl.ioctl(listener, RECEIVE, notice)
    except OSError:  # whoever called is gone
        return
    number, pid, _, _, _, _, *arguments = struct.unpack_from('=QIIiIQQQQ', notice)
    verdict = decide(arguments, pid)
    error, flags = (0, PASS_ON) if verdict is None else (-verdict, 0)
    try:
        fcntl.ioctl(listener, SEND, bytearray(struct.pack('=QqiI', number, 0, error, flags)))
    except OSError as problem:
        if problem.errno != errno.ENOENT:
            raise


def read_memory(pid, place, size):
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as memory:
        memory.seek(place)
        return memory.read(size)


def of_bpf(commands, decide):
    """`decide(command, attributes, process id)`."""
    def decide_by_arguments(arguments, pid):
        command, place, size = arguments
        return decide(command & 0xffffffff, read_memory(pid, place, size), pid)
    return Interceptor(commands_of_bpf(commands), decide_by_arguments)


def that_loses_namespaces(while_there, notes, spared):
    """While a file is there, no handle of a namespace opens, but for that of the id `spared`; each refusal is a byte
    more in the notes."""
    def decide(arguments, pid):
        kind, number = struct.unpack_from('=iQ', read_memory(pid, arguments[1] + 4, 12))
        if kind != NSFS_HANDLE or number == spared or not os.path.exists(while_there):
            return None
        with open(notes, 'ab', buffering=0) as file:
            file.write(b'x')
        return errno.ESTALE
    return Interceptor(calls_of(SYS_OPEN_BY_HANDLE), decide)


def without_trampolines():
    """A kernel that has no fentry, and hooks neither."""
    def decide(command, attributes, _):
        kind, = struct.unpack_from('=I', attributes)
        return ENOTSUPP if kind in (TRACING, LSM) else None
    return of_bpf([bpf.PROG_LOAD], decide)


def without_links():
    """One that attaches nothing by a link."""
    return of_bpf([bpf.LINK_CREATE, bpf.RAW_TRACEPOINT_OPEN], lambda *_: errno.EINVAL)


def that_tells_keys_of_maps(path):
    """This one, but what is entered under four bytes is noted in a file, a number in a line."""
    def decide(_, attributes, pid):
        fd, _, key = struct.unpack_from('=IIQ', attributes)
        with open('/proc/%d/fdinfo/%d' % (pid, fd)) as about, open(path, 'a') as notes:
            if 'key_size:\t4\n' in about.read():
                notes.write('%d\n' % struct.unpack('=I', read_memory(pid, key, 4)))
        return None
    return of_bpf([bpf.MAP_UPDATE], decide)


def with_forgetful_maps():
    """Programs are attached, and never learn which namespaces they should look at."""
    def decide(_, attributes, pid):
        fd, = struct.unpack_from('=I', attributes)
        with open('/proc/%d/fdinfo/%d' % (pid, fd)) as about:
            return 0 if 'max_entries:\t65536\n' in about.read() else None
    return of_bpf([bpf.MAP_UPDATE], decide)
