# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the methods of the interface are called for: each kind knows its call, and how to look at what came of it."""
import contextlib, json, os, subprocess

from faults import links_of
from harness import Namespace, alloc, namespace
from incumbent import Living
from nslib import ALLOC, CFD, CGROUP, NET, NFD, REGISTER, UFD
from nslib import Cgroup, Closed, Conn, link, make_netns, make_userns, maps, netlink_links, uniq

DELEGATED = ('', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads')


def ask(call):
    """The outcome of a call on a connection of its own."""
    with Conn() as connection:
        connection.send(*call)
        return answer(connection)


def answer(connection):
    """'closed' if the worker died over it."""
    try:
        reply = connection.recv()
    except Closed:
        return 'closed'
    for fd in reply.fds:
        os.close(fd)
    return reply.ident()


class Subject:
    """A namespace and what it is to get. `SAID` are the answers that say that the thing was there already,
    `FALSE` those that are never true."""
    SAID, FALSE = (), ()

    def __init__(self, service):
        self.service = service

    def record(self):
        """None if there is none; the one of this namespace, not of its inode number."""
        with contextlib.suppress(FileNotFoundError), open(self.entry()) as file:
            record = json.load(file)
            return record if record['name'] == self.name else None
        return None

    def entry(self):
        return os.path.join(self.service.registry, 'i%d.userns' % self.inode)

    def is_half(self):
        """Done in part, which nothing can take back."""
        return False

    def is_done(self):
        return not self.complaints(True)

    def close(self):
        self.one.close()

    def remains(self):
        """What is left of it after the namespace's death."""
        return ['record'] if self.record() else []

    def clear(self):
        """Removes what a failed test left."""


class Allocation(Subject):
    """With `delegations`, if that is not 0."""
    LINKS = 5

    def __init__(self, service, delegations=0, size=65536):
        super().__init__(service)
        self.one, self.name, self.size, self.delegations = namespace(), uniq('a'), size, delegations
        self.inode = self.one.inode

    SAID = ('UserNamespaceExists', 'NameExists', 'InvalidParameter:' + UFD)

    def call(self):
        return ALLOC, {'name': self.name, 'size': self.size, UFD: 0,
                       **({'delegateContainerRanges': self.delegations} if self.delegations else {})}, [self.one.fd]

    def is_half(self):
        """The kernel takes no map back: the record stays for as long as the namespace lives."""
        uids, gids = maps(self.one.fd)
        is_whole = self.record() and len(links_of(self.service, self.inode)) == self.LINKS
        return bool(uids) != bool(gids) and bool(is_whole)

    def complaints(self, done):
        """About a state that is not: all done, or nothing."""
        uids, gids = maps(self.one.fd)
        record, names = self.record(), links_of(self.service, self.inode)
        if not done and self.is_half():
            return []
        if not done:
            return ['%s: %r' % one for one in (('maps', uids + gids), ('record', record), ('names', names)) if one[1]]
        if not uids or uids != gids:
            return ['maps %r and %r' % (uids, gids)]
        if record is None or record['start'] != uids[0][1] or len(names) != self.LINKS:
            return ['maps %r, record %r, names %r' % (uids, record, names)]
        given = ['%s%d.delegate' % (kind, start) for _, start, _ in uids[1:] for kind in 'ug']
        return [name for name in given if not os.path.exists(os.path.join(self.service.registry, name))]


class AllocationBelow(Allocation):
    """It takes one of its parent's ranges as its own, and hands on the other."""

    def __init__(self, service):
        super().__init__(service, delegations=1)
        self.parent = alloc(delegateContainerRanges=2)
        self.one.close()
        self.one = Namespace(make_userns(0, parent=self.parent.fd))
        self.inode = self.one.inode

    def given(self):
        """What the parent has to give by now, or has given: who holds each of its ranges."""
        return [self.holder(start) for _, start, _ in self.parent.um[1:]]

    def holder(self, start):
        with open(os.path.join(self.service.registry, 'u%d.delegate' % start)) as file:
            return json.load(file)['userns']

    def complaints(self, done):
        found = super().complaints(done)
        if not done and not found and not self.is_half() and set(self.given()) != {self.parent.inode}:
            found.append('ranges of the parent are held by %r' % self.given())
        return found

    def close(self):
        super().close()
        self.parent.close()


class Registration(Subject):
    LINKS = 3
    SAID = ('UserNamespaceExists', 'NameExists')

    def __init__(self, service):
        super().__init__(service)
        self.one, self.name = Living([(0, 0, 1)]), uniq('r')
        self.inode = self.one.inode

    def call(self):
        return REGISTER, {'name': self.name, UFD: 0}, [self.one.fd]

    def complaints(self, done):
        names = links_of(self.service, self.inode)
        return [] if len(names) == (self.LINKS if done else 0) else ['names %r' % names]


class Addition(Subject):
    FALSE = ('UserNamespaceNotRegistered',)

    def __init__(self, service):
        super().__init__(service)
        self.one = alloc()
        self.inode, self.name, self.start = self.one.inode, self.one.name, self.one.start


class ControlGroup(Addition):
    SAID = ('ControlGroupAlreadyAdded',)

    def __init__(self, service):
        super().__init__(service)
        self.cgroup = Cgroup()
        self.id = os.fstat(self.cgroup.fd).st_ino
        self.was_given = False

    def call(self):
        return CGROUP, {UFD: 0, CFD: 1}, [self.one.fd, self.cgroup.fd]

    def owners(self):
        return [os.stat(os.path.join(self.cgroup.path, name)).st_uid for name in DELEGATED]

    def complaints(self, done):
        listed, owners = (self.record() or {}).get('cgroups', []), self.owners()
        expected = ([self.id], [self.start] * 4) if done else ([], [0] * 4)
        return [] if (listed, owners) == expected else ['recorded %r, owners %r' % (listed, owners)]

    def close(self):
        if self.cgroup.fd >= 0:
            self.was_given = self.id in (self.record() or {}).get('cgroups', [])
            os.close(self.cgroup.fd)
            self.cgroup.fd = -1
        super().close()

    def remains(self):
        found = super().remains()
        if os.path.exists(self.cgroup.path):
            owner = os.stat(self.cgroup.path).st_uid
            found += ['cgroup of %d' % owner] if self.was_given or owner != 0 else []
        return found

    def clear(self):
        self.close()
        self.cgroup.remove()


class Veth(Addition):
    SAID = ('System:EEXIST',)
    MORE = {'mode': 'veth', NFD: 1, 'namespaceInterfaceName': 'eth0'}

    def __init__(self, service):
        super().__init__(service)
        self.network = Namespace(make_netns(self.one.fd))
        self.host_names = set()

    def call(self):
        return NET, {UFD: 0, **self.MORE}, [self.one.fd, self.network.fd]

    def links(self):
        """Its links at the host's side: recorded ones, and what has an alternative name of its namespace."""
        listed = set((self.record() or {}).get('netifs', []))
        there = {one['name'] for one in netlink_links()
                 if any('-%s-' % self.name in name or name.endswith('-' + self.name) for name in one['altnames'])}
        self.host_names |= listed | there
        return sorted(listed), sorted(there)

    def complaints(self, done):
        listed, there = self.links()
        return [] if listed == there and len(there) == done else ['recorded %r, there %r' % (listed, there)]

    def close(self):
        self.links()
        super().close()
        self.network.close()

    def remains(self):
        return super().remains() + ['link ' + name for name in sorted(self.host_names) if link(name)]

    def clear(self):
        for name in self.host_names:
            if link(name):
                subprocess.run(['ip', 'link', 'del', name], check=False)
