# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients bring along, and clients in numbers."""
import contextlib, os, resource, socket

import nslib
from process import PATIENCE


def alloc(**settings):
    """An allocation for a fresh namespace; see nslib.allocate."""
    return nslib.allocate(**settings)


def namespace(uid=0):
    """A descriptor of a fresh user namespace, as an object with close()."""
    return Namespace(nslib.make_userns(uid))


class Namespace:
    def __init__(self, fd):
        self.fd = fd
        self.inode = os.fstat(fd).st_ino

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Crowd:
    """Another process of the uid that makes `count` connections, does `act(connection, number)` on each, and holds
    them until close()."""

    def __init__(self, uid, count, act=None):
        address = nslib.CFG['socket']

        def body(control):
            nslib.close_but(control.fileno())
            resource.setrlimit(resource.RLIMIT_NOFILE, (count + 50, count + 50))
            nslib.become(uid)
            held = []
            for number in range(count):
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(address)
                with contextlib.suppress(OSError):  # it may be closed at any time
                    if act:
                        act(connection, number)
                held.append(connection)
            control.send(b'x')
            control.recv(1)
        self.child = nslib.Child(body)
        self.child.s.settimeout(PATIENCE)
        data, _ = nslib.recv_fds(self.child.s)
        assert data == b'x', 'the crowd has failed: %r' % data

    def close(self):
        self.child.close()
