# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces in great numbers, each registered by a caller of some uid. A process is started for each, which shares the
memory of its maker and does nothing: a fork would cost more than all the rest."""
import contextlib, ctypes, json, os, resource, signal, socket

import nslib
from nslib import ALLOC, CLONE_NEWUSER, UFD, libc

CLONE_VM = 0x100
STACK = 65536
SET_DUMPABLE = 4


class Maker:
    def __init__(self):
        self.stack = ctypes.create_string_buffer(STACK)
        self.top = ctypes.c_void_p(ctypes.addressof(self.stack) + STACK - 64 & ~63)

    def make(self):
        """A descriptor of a new user namespace."""
        pid = libc.clone(libc.pause, self.top, ctypes.c_int(CLONE_NEWUSER | CLONE_VM | signal.SIGCHLD), None)
        if pid < 0:
            raise OSError(ctypes.get_errno(), 'clone')
        try:
            return os.open('/proc/%d/ns/user' % pid, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def request(name, size):
    return json.dumps({'method': ALLOC, 'parameters': {'name': name, 'size': size, UFD: 0}}).encode() + b'\0'


def become(uid):
    nslib.become(uid)
    libc.prctl(SET_DUMPABLE, 1, 0, 0, 0)  # or it may not look at its own children
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


class Herd:
    """Another process, of the uid, which does `act(maker, connection)` and holds what that gives until close()."""

    def __init__(self, uid, act):
        def body(control):
            nslib.close_but(control.fileno())
            become(uid)
            connection = nslib.Conn()
            held = act(Maker(), connection)
            control.send(b'x')
            control.recv(1)
            del held
        self.child = nslib.Child(body)

    def wait(self):
        self.child.s.settimeout(300)
        data, _ = nslib.recv_fds(self.child.s)
        assert data == b'x', 'a herd has failed: %r' % data
        return self

    def close(self):
        self.child.close()


def hold(count, size=1):
    """Allocates for so many and holds them all."""
    def act(maker, connection):
        held = []
        for number in range(count):
            held.append(maker.make())
            connection.raw(request('h%d' % number, size), held[-1:])
            nslib.eq(connection.recv().ident(), 'ok')
        return held
    return act


def churn(count):
    """Allocates one after the other, each of which is dead before the next."""
    def act(maker, connection):
        for number in range(count):
            fd = maker.make()
            connection.raw(request('c%d' % (number % 3), 1), [fd])
            os.close(fd)
            outcome = connection.recv().ident()
            nslib.check(outcome in ('ok', 'NameExists'), outcome)
    return act


def vanish(count):
    """Asks, and is gone with its namespace before there is an answer."""
    def act(maker, _):
        for number in range(count):
            fd = maker.make()
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
                connection.connect(nslib.CFG['socket'])
                nslib.send_fds(connection, request('v%d' % number, 1), [fd])
            os.close(fd)
    return act
