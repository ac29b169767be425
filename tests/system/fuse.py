# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system in user space that answers some requests only when it is told to: close(2) of its files waits so long."""
import contextlib, os, select, signal, stat, struct

import nslib
from nslib import CLONE_NEWNS, Child, mount, send_fds
from process import close_but_these

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, WRITE, STATFS, RELEASE, FSYNC, FLUSH = 1, 2, 3, 4, 14, 16, 17, 18, 20, 25
INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 26, 27, 29, 36, 38, 42
WITHOUT_ANSWER = (FORGET, INTERRUPT, BATCH_FORGET)
HEADER = struct.Struct('=IIQQIIIHH')
ROOT = 1
FUSE_BIG_WRITES, FUSE_WRITEBACK_CACHE = 1 << 5, 1 << 16
PAGE = 4096
# However a test ends: after this the server is gone, which ends all that waits for it.
LIFETIME_SECONDS = 120


def attributes(node):
    mode = stat.S_IFDIR | 0o777 if node == ROOT else stat.S_IFREG | 0o666
    return struct.pack('=6Q10I', node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, PAGE, 0)


class Server:
    """Serves requests of one open /dev/fuse. Every name is there, and is an empty file; a name is its inode's number."""

    def __init__(self, device, control):
        self.device, self.control = device, control
        self.kinds, self.withheld = set(), []

    def run(self):
        poll = select.poll()
        poll.register(self.device, select.POLLIN)
        poll.register(self.control.fileno(), select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd != self.device:
                    self.obey()
                else:
                    with contextlib.suppress(BlockingIOError, InterruptedError, FileNotFoundError):
                        self.take(os.read(self.device, 1 << 17))

    def obey(self):
        """Withholds requests of these kinds from now on, or answers those that were withheld."""
        said = self.control.recv(4096)
        if not said:
            os._exit(0)
        if said == b'count':
            self.control.send(b'%d' % len(self.withheld))
            return
        self.kinds = set(said[1:])
        if not self.kinds:
            for request in self.withheld:
                self.answer(request)
            self.withheld = []
        self.control.send(b'x')

    def take(self, request):
        kind = HEADER.unpack_from(request)[1]
        if kind in self.kinds:
            self.withheld.append(request)
        elif kind not in WITHOUT_ANSWER:
            self.answer(request)

    def answer(self, request):
        _, kind, unique, node, *_ = HEADER.unpack_from(request)
        found = self.outcome(kind, node, request[HEADER.size:])
        error, data = (found, b'') if isinstance(found, int) else (0, found)
        with contextlib.suppress(FileNotFoundError):  # of a process that was killed meanwhile
            os.write(self.device, struct.pack('=IiQ', 16 + len(data), error, unique) + data)

    def outcome(self, kind, node, data):
        """What the answer holds, or a negative error."""
        if kind == INIT:
            return struct.pack('=4I2H2I2H8I', 7, 31, PAGE, FUSE_BIG_WRITES | FUSE_WRITEBACK_CACHE, 256, 192, PAGE, 1,
                               0, 0, *[0] * 8)
        if kind == LOOKUP:
            found = ROOT + 1 + int(data.rstrip(b'\0'))
            return struct.pack('=4Q2I', found, 0, 3600, 3600, 0, 0) + attributes(found)
        if kind in (GETATTR, SETATTR):
            # Not to be remembered: each fstat(2) asks.
            return struct.pack('=Q2I', 0, 0, 0) + attributes(node)
        if kind in (OPEN, OPENDIR):
            return struct.pack('=Q2I', 0, 0, 0)
        if kind == WRITE:
            return struct.pack('=2I', struct.unpack_from('=2QI', data)[2], 0)
        if kind == STATFS:
            return struct.pack('=5Q10I', *[0] * 5, PAGE, 255, PAGE, 0, *[0] * 6)
        return 0 if kind in (FLUSH, RELEASE, RELEASEDIR, FSYNC, DESTROY) else -38  # ENOSYS


class Fuse:
    """One that is mounted, in a mount namespace of the server alone: nothing of it can be left behind. Its death ends
    the connection, and whatever waits for an answer goes on."""

    def __init__(self):
        self.server = Child(self.serve)
        _, (self.root,) = self.server.hello()
        self.dirtiers = []

    @staticmethod
    def serve(control):
        nslib.close_but(control.fileno())
        signal.alarm(LIFETIME_SECONDS)
        device = os.open('/dev/fuse', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        nslib.unshare(CLONE_NEWNS)
        mount('none', '/', None, nslib.MS_REC | nslib.MS_PRIVATE)
        mount('nsr-fuse', '/mnt', 'fuse', 0, 'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % device)
        send_fds(control, b'x', [os.open('/mnt', nslib.O_PATH | os.O_CLOEXEC)])
        Server(device, control).run()

    def tell(self, command):
        self.server.s.send(command)
        return self.server.s.recv(100)

    def withhold(self, *kinds):
        self.tell(b'w' + bytes(kinds))

    def let_go(self):
        """All requests are answered, from now on."""
        self.tell(b'w')

    def count_withheld(self):
        return int(self.tell(b'count'))

    def open(self, number, flags=os.O_RDWR):
        return os.open(str(number), flags | os.O_CLOEXEC, dir_fd=self.root)

    def directory(self):
        return os.open('.', os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.root)

    def dirty(self, numbers):
        """Another process writes to these files, and keeps them. The page lies in the cache: it is written by the next
        process that closes such a file, or drops the last reference to it."""
        def body(control):
            close_but_these(control.fileno(), self.root)
            held = [self.open(number) for number in numbers]
            for fd in held:
                os.pwrite(fd, b'x' * PAGE, 0)
            control.send(b'x')
            control.recv(1)
        self.dirtiers.append(Child(body))
        self.dirtiers[-1].hello()

    def close(self):
        # The server first: the others may wait for it.
        self.server.close()
        while self.dirtiers:
            self.dirtiers.pop().close()
        if self.root >= 0:
            os.close(self.root)
            self.root = -1


def missing():
    """Why there can be no such file system here; None: there can."""
    try:
        os.close(os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return 'no FUSE here: /dev/fuse: ' + os.strerror(error.errno)
    return None
