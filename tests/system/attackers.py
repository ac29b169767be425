# SPDX-License-Identifier: LGPL-2.1-or-later
"""Local users who mean harm: processes that act step by step, and descriptors whose last close(2) waits for them."""
import itertools, os, resource, socket, struct

import fuse, nslib
from nslib import CLONE_NEWUSER, Child, send_fds, setns
from process import PATIENCE, close_but_these

# For whoever closes the socket; the other end resets the connection sooner, when the test ends.
LINGER_SECONDS = 3600
LEVELS = 3
LOOPBACK = ('127.0.0.1', 0)


class Attacker:
    """Another process, which runs the generator `plan()` as far as its first yield, and with each step() to the next.
    It has the uid; or, inside of a namespace, that uid of the namespace."""

    def __init__(self, plan, uid, inside=None, keep=()):
        def body(control):
            close_but_these(control.fileno(), *keep, *([inside] if inside is not None else []))
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            enter(inside, uid)
            for _ in plan():
                control.send(b'x')
                if not control.recv(1):
                    return
            control.send(b'x')
            control.recv(1)
        self.child = Child(body)
        self.wait()

    def wait(self):
        self.child.s.settimeout(PATIENCE)
        data, _ = nslib.recv_fds(self.child.s)
        assert data == b'x', 'an attacker has failed: %r' % data

    def go(self):
        """The next step, without waiting for its end."""
        self.child.s.send(b'g')

    def step(self):
        self.go()
        self.wait()

    def close(self):
        self.child.close()


def enter(inside, uid):
    if inside is not None:
        setns(inside, CLONE_NEWUSER)
        os.close(inside)  # or it would keep the namespace alive
    nslib.become(uid)


def connect(uid=None):
    """A fresh connection, by root of a namespace as another uid of it: the effective one counts for SO_PEERCRED."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if uid is None:
        connection.connect(nslib.CFG['socket'])
        return connection
    os.seteuid(uid)
    try:
        connection.connect(nslib.CFG['socket'])
    finally:
        os.seteuid(0)
        nslib.pdeathsig()
    return connection


class Weapon:
    """A kind of descriptors. Each attacker does make(), sends what it has made, and closes its own copies; then the test
    does arm(), with the number that each of them has made since the last time."""
    keep = ()
    # Whether even a process that exits waits for such a descriptor. It does not wait for data of a socket.
    holds_exit = False

    def make(self):
        raise NotImplementedError

    def arm(self, count):
        pass

    def let_go(self):
        """What waits may go on, as far as that does not take the death of the attackers."""

    def close(self):
        pass


class Linger(Weapon):
    """TCP sockets with SO_LINGER and data that their other end never reads. When the attacker dies they are reset."""

    def __init__(self):
        self.listener, self.peers = None, []

    def make(self):
        if self.listener is None:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.listener.bind(LOOPBACK)
            self.listener.listen(64)
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made.connect(self.listener.getsockname())
        self.peers.append(self.listener.accept()[0])
        made.setblocking(False)
        try:
            while True:
                made.send(b'x' * 65536)
        except BlockingIOError:
            pass
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, LINGER_SECONDS))
        return made.detach()


class Chain(Linger):
    """Such a socket in the queue of a Unix socket, which is in the queue of another one, and so on."""

    def make(self):
        fd = super().make()
        for _ in range(LEVELS):
            one, other = socket.socketpair()
            send_fds(one, b'x', [fd])
            os.close(fd)
            one.close()
            fd = other.detach()
        return fd


class FuseFile(Weapon):
    """Files of a FUSE server: the one who closes such a file last has to write its page, and waits for the answer."""
    kind = fuse.WRITE
    holds_exit = True

    def __init__(self):
        self.fuse = fuse.Fuse()
        self.keep = (self.fuse.root,)
        self.armed, self.made = 0, itertools.count()

    def make(self):
        return self.fuse.open(next(self.made))

    def arm(self, count):
        self.fuse.withhold(self.kind)
        if self.kind == fuse.WRITE:
            self.fuse.dirty(range(self.armed, self.armed + count))
        self.armed += count
        self.made = itertools.count(self.armed)

    def let_go(self):
        self.fuse.let_go()

    def close(self):
        self.fuse.close()


class FuseFlush(FuseFile):
    """The same with a server that is slow at each close(2), not only at the last one. Attackers can make none any more
    when it is armed: they would wait, too."""
    kind = fuse.FLUSH


class Harmless(Weapon):
    """Ends of pipes and terminals with unread output: they are closed at once."""

    def __init__(self):
        self.held = []

    def make(self):
        if len(self.held) % 2:
            reading, fd = os.pipe()
        else:
            reading, fd = os.openpty()
        os.write(fd, b'x' * 100)
        self.held.append(reading)
        return fd
