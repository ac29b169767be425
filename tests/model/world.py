# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real thing: a private instance on a tmpfs of its own, in a network and a mount namespace of its own, and all that
its users hold. Knows what is there, not what should be."""
import contextlib, errno, json, os, shutil, tempfile

import harness, nslib
from forker import Forker
from nslib import MS_PRIVATE, MS_REC, NS_GET_ID, Closed, Conn
from process import wait_until

MS_REMOUNT = 32
DELEGATED_FILES = ('cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads')


class Handle:
    """What a user holds of a namespace."""

    def __init__(self, fd, pid):
        self.fd, self.pid = fd, pid
        self.inode = os.fstat(fd).st_ino
        self.id = nslib.ioctl_u64(fd, NS_GET_ID)
        self.network, self.taps = None, []


class Pin:
    """A mount that was added."""

    def __init__(self, path):
        self.path, self.certain = path, True

    def is_held(self):
        """Takes it away if nothing holds it."""
        if not nslib.umount(self.path, 0):
            os.rmdir(self.path)
            return False
        return True


class World:
    RUN_SIZE, RUN_INODES = 32 << 20, 8192

    def __init__(self, binaries, forker, level):
        nslib.unshare(nslib.CLONE_NEWNS | nslib.CLONE_NEWNET)
        nslib.mount('none', '/', None, MS_REC | MS_PRIVATE)
        harness.Setting.bin = binaries
        self.scratch = tempfile.mkdtemp(prefix='nsr-model.', dir='/dev/shm')
        self.run = os.path.join(self.scratch, 'run')
        self.mounts = os.path.join(self.scratch, 'mounts')
        for path in (self.run, self.mounts):
            os.mkdir(path)
        nslib.mount('nsr-model', self.run, 'tmpfs', 0, 'mode=755,size=%d,nr_inodes=%d' % (self.RUN_SIZE, self.RUN_INODES))
        self.cgroups = os.path.join(nslib.cgroup_root(), os.path.basename(self.scratch))
        os.mkdir(self.cgroups)
        self.forker = Forker(forker)
        nslib.maps = self.forker.maps  # for the checker: it asks for the same, and often
        self.service = harness.Instance(enforcement=level, scratch=self.scratch, prepare=nslib.pdeathsig)
        self.pins = []
        self.service.start()

    # The service
    def connect(self, uid):
        """What the peer of a socket is said to be is what it was when it connected."""
        os.setegid(uid)
        os.seteuid(uid)
        try:
            return Conn()
        finally:
            os.seteuid(0)
            os.setegid(0)

    def call(self, uid, method, parameters, fds=()):
        """The reply, None if the connection ended without one."""
        connection = self.connect(uid)
        try:
            return connection.call(method, parameters, fds)
        except Closed:
            return None
        finally:
            connection.close()

    def start(self):
        """Like the service manager, with what it has stored. Gives False if the service refuses to start."""
        stored = self.service.manager.stored if self.service.manager else []
        self.service.pass_on([fd for _, fd in stored], [name for name, _ in stored])
        self.service.launch()

        def decided():
            status = os.waitpid(self.service.pid, os.WNOHANG)[1]
            if status:
                self.service.pid = None
                if os.waitstatus_to_exitcode(status) != 1:
                    raise AssertionError('the start ended with status %#x' % status)
                return 'no'
            return 'READY=1' in self.service.take_notes() and 'yes'
        return wait_until(decided, 'READY=1') == 'yes'

    def stop(self):
        status = self.service.stop()
        if status:
            raise AssertionError('exit status %d' % status)

    # Its disk
    def leave_room(self, what, left):
        """Nothing but so much is left of `size` (pages) or `nr_inodes`."""
        usage = os.statvfs(self.run)
        used = usage.f_blocks - usage.f_bfree if what == 'size' else usage.f_files - usage.f_ffree
        limit = max(used + left, 1)
        self.remount('%s=%d' % (what, limit * usage.f_frsize if what == 'size' else limit))

    def make_room(self):
        self.remount('size=%d,nr_inodes=%d' % (self.RUN_SIZE, self.RUN_INODES))

    def remount(self, options):
        nslib.mount('nsr-model', self.run, 'tmpfs', MS_REMOUNT, options)

    # The registry
    def entry(self, *name):
        """What a file of the registry holds and how many links it has, None if there is none."""
        try:
            with open(os.path.join(self.service.registry, *name)) as file:
                return json.load(file), os.fstat(file.fileno()).st_nlink
        except FileNotFoundError:
            return None

    def record_of(self, handle):
        """None also if it is that of another namespace, which had the inode number before."""
        found = self.entry('i%d.userns' % handle.inode)
        return found[0] if found and found[0].get('usernsId') == handle.id else None

    # What users hold
    def new_namespace(self, uid, parent=None, mapped=None, stays=False):
        return Handle(*self.forker.user_namespace(uid, parent and parent.fd, mapped, stays))

    def drop(self, handle, keep_taps=False):
        for fd in [handle.fd, handle.network] + ([] if keep_taps else handle.taps):
            if fd is not None:
                os.close(fd)
        if handle.pid:
            self.forker.end(handle.pid)

    def close_taps(self, handle):
        for fd in handle.taps:
            os.close(fd)
        handle.taps = []

    def network_of(self, handle):
        if handle.network is None:
            handle.network = self.forker.network_namespace(handle.fd)
        return handle.network

    def cgroup_path(self, number):
        return os.path.join(self.cgroups, 'c%d' % number)

    def new_cgroup(self, number, owner):
        path = self.cgroup_path(number)
        os.mkdir(path)
        os.chown(path, owner, owner)

    def cgroup_owners(self, number):
        """Of the directory, and of the files that are given away with it; None if it is gone."""
        path = self.cgroup_path(number)
        try:
            state = os.stat(path)
            return state.st_uid, {os.stat(os.path.join(path, name)).st_uid for name in DELEGATED_FILES}
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return None
            raise

    def new_mount(self):
        """A mount at a place of its own, and a descriptor of it."""
        path = tempfile.mkdtemp(dir=self.mounts)
        nslib.mount('nsr-model', path, 'tmpfs')
        return Pin(path), os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def host_links(self):
        return sorted(link['name'] for link in nslib.netlink_links() if link['name'].startswith('ns-'))

    def close(self):
        with contextlib.suppress(BaseException):
            self.forker.close()
        if self.service.pid is not None:
            self.service.kill()
        if self.service.manager:
            self.service.manager.close()
        for place, _, _ in os.walk(self.cgroups, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(place)
        if self.service.pins:
            self.service.pins.remove()
        nslib.umount(self.run)
        shutil.rmtree(self.scratch, ignore_errors=True)
