# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is under fire: one call of each kind with all that it needs, and what is there before and after it."""
import contextlib, os, time

import invariants, nslib
from nslib import ALLOC, CFD, CGROUP, K64, MFD, MOUNT, NET, NFD, REGISTER, UFD


class Subject:
    """`call` is what is asked for. state() says how much of it is there: 'nothing', 'half' (of the maps), or 'whole';
    anything else is a complaint."""
    EXISTS = ()      # answers to the same call once the thing is there
    PINS = False     # the manager may keep descriptors for it
    NOTES = False    # there may be notes of what is left to do

    def __init__(self):
        self.fds, self.paths, self.owners, self.known = [], [], [], []

    def keep(self, fd):
        self.fds.append(fd)
        return fd

    def living(self):
        """Namespaces that may be registered."""
        return [fd for fd in self.owners if fd in self.fds]

    def registered(self):
        """Those that certainly are, before the call."""
        return [fd for fd in self.known if fd in self.fds]

    def lose(self, fd):
        os.close(fd)
        self.fds.remove(fd)

    def close(self):
        """Lets all namespaces die."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def after_death(self):
        """Complaints once the namespaces are dead and released."""
        return []

    def remove(self):
        """What the service does not remove by itself."""
        for path in self.paths:
            for place, _, _ in os.walk(path, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(place)

    def record(self, rig, fd):
        return invariants.Registry(rig.runtime).entries.get(os.fstat(fd).st_ino)


class Allocation(Subject):
    EXISTS = ('UserNamespaceExists', 'InvalidParameter:userNamespaceFileDescriptor')
    MORE = {'size': K64}

    def prepare(self, rig):
        self.fd = self.keep(nslib.make_userns(0))
        self.name = nslib.uniq('t')
        self.owners = [self.fd]

    def call(self):
        return ALLOC, {'name': self.name, UFD: 0, **self.MORE}, [self.fd]

    def state(self, rig):
        uids, gids = nslib.maps(self.fd)
        record = self.record(rig, self.fd)
        if bool(uids) != bool(gids):
            return 'half' if record else 'half a map without a record'
        if bool(uids) != bool(record):
            return 'maps %s, record %s' % (uids, record)
        return 'whole' if uids else 'nothing'


class One(Allocation):
    MORE = {'size': 1}


class Self(Allocation):
    MORE = {'size': 1, 'type': 'self'}


class Delegation(Allocation):
    MORE = {'size': K64, 'delegateContainerRanges': 2}


class Below(Allocation):
    """It takes one delegated range as its own, and hands on another."""
    MORE = {'size': K64, 'delegateContainerRanges': 1}

    def prepare(self, rig):
        self.parent = nslib.allocate(delegateContainerRanges=3)
        self.keep(self.parent.fd)
        self.fd = self.keep(nslib.make_userns(0, parent=self.parent.fd))
        self.name = nslib.uniq('t')
        self.owners, self.known = [self.parent.fd, self.fd], [self.parent.fd]


class Registration(Allocation):
    EXISTS = ('UserNamespaceExists',)

    def prepare(self, rig):
        self.fd = self.keep(nslib.make_userns(0, maps=[(0, 0, 1)]))
        self.name = nslib.uniq('t')
        self.owners = [self.fd]

    def call(self):
        return REGISTER, {'name': self.name, UFD: 0}, [self.fd]

    def state(self, rig):
        return 'whole' if self.record(rig, self.fd) else 'nothing'


class Addition(Subject):
    """To a namespace that is registered already."""

    def prepare(self, rig):
        self.one = nslib.allocate()
        self.fd = self.keep(self.one.fd)
        self.owners = self.known = [self.fd]
        self.bring(rig)

    def bring(self, rig):
        pass


class Mount(Addition):
    """Nothing records it; it can be asked for again and again."""
    PINS = True

    def bring(self, rig):
        self.mount = self.keep(nslib.fsmount_tmpfs())

    def call(self):
        return MOUNT, {UFD: 0, MFD: 1}, [self.fd, self.mount]

    def state(self, rig):
        return 'any'


def make_cgroup():
    path = os.path.join(nslib.cgroup_root(), 'nsr-torture-' + nslib.uniq())
    os.mkdir(path)
    return path


class ControlGroup(Addition):
    EXISTS = ('ControlGroupAlreadyAdded',)

    def bring(self, rig):
        self.path = make_cgroup()
        self.paths = [self.path]
        self.cgroup = self.keep(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def call(self):
        return CGROUP, {UFD: 0, CFD: 1}, [self.fd, self.cgroup]

    def state(self, rig):
        listed = (self.record(rig, self.fd) or {}).get('cgroups', [])
        owners = {os.stat(os.path.join(self.path, name)).st_uid for name in invariants.DELEGATED}
        if listed and owners == {self.one.start}:
            return 'whole'
        if not listed and owners == {0}:
            return 'nothing'
        return 'cgroups %s are recorded, the owners are %s' % (listed, sorted(owners))

    def after_death(self):
        if self.was_added and os.path.exists(self.path):
            return ['the cgroup %s stays, of owner %d' % (self.path, os.stat(self.path).st_uid)]
        return []

    was_added = False


class Veth(Addition):
    EXISTS = ('System:EEXIST',)

    def bring(self, rig):
        self.network = self.keep(nslib.make_netns(self.fd))

    def call(self):
        more = {'mode': 'veth', NFD: 1, 'namespaceInterfaceName': 'eth0'}
        return NET, {UFD: 0, **more}, [self.fd, self.network]

    def state(self, rig):
        listed = (self.record(rig, self.fd) or {}).get('netifs', [])
        there = [link['name'] for link in nslib.netlink_links()
                 if 'ns-0-%s-eth0' % self.one.name in link['altnames']]
        if listed != there:
            return 'links %s are recorded, %s are there' % (listed, there)
        return 'whole' if listed else 'nothing'


class Tap(Addition):
    EXISTS = ('ok', 'System:EEXIST', 'System:EBUSY')

    def call(self):
        return NET, {UFD: 0, 'mode': 'tap'}, [self.fd]

    def state(self, rig):
        """The link goes with its last descriptor, and the test holds none."""
        return 'whole' if (self.record(rig, self.fd) or {}).get('netifs') else 'nothing'


class Full(Addition):
    """For releases and starts: a namespace that has everything."""
    PINS = True

    def prepare(self, rig):
        self.one = nslib.allocate(delegateContainerRanges=2)
        self.fd = self.keep(self.one.fd)
        self.owners = self.known = [self.fd]
        self.network = self.keep(nslib.make_netns(self.fd))
        self.path = make_cgroup()
        os.mkdir(os.path.join(self.path, 'below'))
        self.paths = [self.path]
        self.cgroup = self.keep(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        mount = nslib.fsmount_tmpfs()
        with nslib.Conn() as connection:
            connection.ok(MOUNT, {UFD: 0, MFD: 1}, [self.fd, mount])
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [self.fd, self.cgroup])
            connection.ok(NET, {UFD: 0, NFD: 1, 'mode': 'veth'}, [self.fd, self.network])
        os.close(mount)
        self.was = self.record(rig, self.fd)

    def living_problems(self, rig):
        """Of a namespace that has lived through whatever it was: all that it had is there."""
        record = self.record(rig, self.fd)
        if record != self.was:
            yield 'the record of a living namespace was %s, and is %s' % (self.was, record)
        for name in self.was['netifs']:
            if not nslib.link(name):
                yield 'the link %s of a living namespace is gone' % name
        if not os.path.exists(self.path) or os.stat(self.path).st_uid != self.one.start:
            yield 'the cgroup of a living namespace is gone, or not its own'

    def after_death(self):
        if os.path.exists(self.path):
            return ['the cgroup %s stays, of owner %d' % (self.path, os.stat(self.path).st_uid)]
        return []


class Busy(Addition):
    """A cgroup with a process in it outlives the release; it goes after the process."""
    NOTES = True

    def bring(self, rig):
        self.path = make_cgroup()
        self.paths = [self.path]
        cgroup = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with nslib.Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [self.fd, cgroup])
        os.close(cgroup)

        def stay(control):
            nslib.close_but(control.fileno())
            nslib.wr(os.path.join(self.path, 'cgroup.procs'), '0')
            control.send(b'x')
            control.recv(1)
        self.process = nslib.Child(stay)
        self.process.hello()

    def after_death(self):
        found = []
        owner = os.stat(self.path).st_uid if os.path.exists(self.path) else 0
        if owner != 0:
            found.append('the busy cgroup belongs to %d after the release' % owner)
        self.process.close()
        end = time.monotonic() + invariants.RELEASE_SECONDS + invariants.SLACK_SECONDS
        while os.path.exists(self.path) and time.monotonic() < end:
            time.sleep(0.02)
        if os.path.exists(self.path):
            found.append('the cgroup %s stays after its last process' % self.path)
        return found


CALLS = {'alloc': Allocation, 'one': One, 'self': Self, 'delegate': Delegation, 'below': Below,
         'register': Registration, 'mount': Mount, 'cgroup': ControlGroup, 'veth': Veth, 'tap': Tap}
RELEASES = {'full': Full, 'busy': Busy, 'alloc': Allocation, 'below': Below, 'register': Registration}
