#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker is killed at every system call of the methods that add something to a namespace, or register it, or take
ranges from another one; afterwards what is recorded is what is there."""
import os

import harness, tracer
from faults import Caller, Rounds, links_of
from harness import DaemonTest, Namespace, alloc, wait_until
from incumbent import Living
from nslib import ALLOC, CFD, CGROUP, MFD, MOUNT, NET, NFD, REGISTER, UFD
from nslib import Cgroup, Conn, fsmount_tmpfs, link, make_netns, make_userns, maps, reg_load

DELEGATED = {'': 0o755, 'cgroup.procs': 0o644, 'cgroup.subtree_control': 0o644, 'cgroup.threads': 0o644}


class Fault:
    """One method under fire. Each round gets a subject of its own."""

    def __init__(self, test, service):
        self.test, self.service = test, service

    def again(self):
        with Conn() as connection:
            reply = connection.call(*self.call())
            for fd in reply.fds:
                os.close(fd)
            return reply.ident()

    def close(self):
        """After the checks."""

    def let_go(self):
        """Of what would keep the namespace alive."""

    def warm_up(self):
        """The worker that was busy last is the next one, too: with the same call, as far as it goes for a subject that
        has it already, it loads what is loaded once, so that each round has the same system calls."""
        if not hasattr(self, 'first'):
            self.first = type(self)(self.test, self.service)
            self.first.prepare()
        self.first.again()


class ControlGroup(Fault):
    def prepare(self):
        self.one = self.test.keep(alloc())
        self.cgroup = Cgroup()
        self.before = self.status()

    def status(self):
        found = [os.stat(os.path.join(self.cgroup.path, name)) for name in DELEGATED]
        return [(status.st_uid, status.st_gid, status.st_mode & 0o7777) for status in found]

    def call(self):
        return CGROUP, {UFD: 0, CFD: 1}, [self.one.fd, self.cgroup.fd]

    def outcome(self):
        listed = reg_load('i%d.userns' % self.one.inode).get('cgroups', [])
        if not listed:
            self.test.assertEqual(self.status(), self.before)
            self.test.assertEqual(self.again(), 'ok')
            outcome = 'nothing'
        else:
            self.test.assertEqual(listed, [os.fstat(self.cgroup.fd).st_ino])
            self.test.assertEqual(self.again(), 'ControlGroupAlreadyAdded')
            outcome = 'whole'
        self.test.assertEqual(self.status(), [(self.one.start, self.one.start, mode) for mode in DELEGATED.values()])
        self.test.assertEqual(len(links_of(self.service, self.one.inode)), 5)
        self.cgroup.remove()
        return outcome


class Veth(Fault):
    MORE = {'mode': 'veth', NFD: 1, 'namespaceInterfaceName': 'eth0'}

    def prepare(self):
        self.one = self.test.keep(alloc())
        self.network = self.test.keep(Namespace(make_netns(self.one.fd)))

    def call(self):
        return NET, {UFD: 0, **self.MORE}, [self.one.fd, self.network.fd]

    def name(self):
        """What the link must be called: the same as in the reply to the same call, were it the first."""
        listed = reg_load('i%d.userns' % self.one.inode).get('netifs', [])
        self.test.assertEqual(len(listed), 1)
        return listed[0]

    def outcome(self):
        if reg_load('i%d.userns' % self.one.inode).get('netifs') is None:
            # It would meet a link that is there though it is not recorded.
            self.test.assertEqual(self.again(), 'ok')
            outcome = 'nothing'
        else:
            outcome = 'whole'
        self.check_link(self.name())
        self.test.assertNotEqual(self.again(), 'ok')
        self.test.assertEqual(len(links_of(self.service, self.one.inode)), 5)
        self.network.close()
        return outcome

    def check_link(self, name):
        self.test.assertEqual(link(name)['altnames'], ['ns-0-%s-eth0' % self.one.name])


class Tap(Veth):
    """It goes with the worker, but for the moment after the answer."""
    MORE = {'mode': 'tap'}

    def call(self):
        return NET, {UFD: 0, **self.MORE}, [self.one.fd]

    def outcome(self):
        outcome = 'whole'
        if reg_load('i%d.userns' % self.one.inode).get('netifs') is None:
            self.test.assertEqual(self.again(), 'ok')
            outcome = 'nothing'
        wait_until(lambda: link(self.name()) is None, 'end of the tap')
        self.test.assertEqual(len(links_of(self.service, self.one.inode)), 5)
        self.network.close()
        return outcome


class Registration(Fault):
    def prepare(self):
        self.one = self.test.keep(Living([(0, 0, 1)]))
        self.name = 'r%d' % self.one.inode

    def call(self):
        return REGISTER, {'name': self.name, UFD: 0}, [self.one.fd]

    def outcome(self):
        names = links_of(self.service, self.one.inode)
        outcome = 'whole' if names else 'nothing'
        self.test.assertIn(len(names), (0, 3))
        self.test.assertEqual(self.again(), 'UserNamespaceExists' if names else 'ok')
        self.test.assertEqual(len(links_of(self.service, self.one.inode)), 3)
        return outcome


class Mount(Fault):
    def prepare(self):
        self.one, self.mount = self.test.keep(alloc()), fsmount_tmpfs()

    def call(self):
        return MOUNT, {UFD: 0, MFD: 1}, [self.one.fd, self.mount]

    def outcome(self):
        self.test.assertEqual(self.again(), 'ok')
        os.close(self.mount)
        return 'nothing'


class AllocationBelow(Fault):
    """It takes one delegated range as its own, and hands on another."""

    def __init__(self, test, service):
        super().__init__(test, service)
        self.parent = test.keep(alloc(name='p', delegateContainerRanges=3))
        self.before = service.contents()
        self.spare = test.keep(Namespace(make_userns(0, parent=self.parent.fd)))

    def warm_up(self):
        parameters = {'name': 'p', 'size': 65536, UFD: 0, 'delegateContainerRanges': 1}
        with Conn() as connection:
            connection.err('NameExists', ALLOC, parameters, [self.spare.fd])

    def prepare(self):
        self.fd = make_userns(0, parent=self.parent.fd)
        self.inode = os.fstat(self.fd).st_ino

    def call(self):
        return ALLOC, {'name': 'b', 'size': 65536, UFD: 0, 'delegateContainerRanges': 1}, [self.fd]

    def outcome(self):
        uids, gids = maps(self.fd)
        if not uids and not gids:
            wait_until(lambda: self.service.contents() == self.before, 'the registry as it was')
            self.test.assertEqual(self.again(), 'ok')
            uids, _ = maps(self.fd)
            outcome = 'nothing'
        else:
            outcome = 'whole' if uids and gids else 'half'
        delegated = (uids or gids)[1][1]
        self.test.assertEqual(len(links_of(self.service, self.inode)), 5)
        self.test.assertEqual(reg_load('u%d.delegate' % delegated)['userns'], self.inode)
        self.test.assertEqual(reg_load('u%d.delegate' % delegated)['ancestorUserns'], [self.parent.inode])
        return outcome

    def close(self):
        os.close(self.fd)
        wait_until(lambda: self.service.contents() == self.before, 'the registry as it was')


class Additions(DaemonTest):
    def under_fire(self, kind, at_least):
        service = self.instance()
        fault = kind(self, service)
        seen, rounds = {}, Rounds()
        for count in rounds:
            fault.prepare()
            fault.warm_up()
            caller = Caller(*fault.call())
            killed = tracer.kill_at(service.quiet_workers(), count, caller.ask, caller.has_answer)
            wait_until(lambda: not service.unfinished(), 'repair')
            if not killed:
                reply = caller.connection.recv()
                self.assertEqual(reply.ident(), 'ok')
                for fd in reply.fds:
                    os.close(fd)
            caller.connection.close()
            outcome = fault.outcome()
            self.assertEqual(service.unfinished(), [])
            fault.close()
            seen[outcome] = seen.get(outcome, 0) + 1
            rounds.note(killed)
            if not killed:
                self.assertEqual(outcome, 'nothing' if kind is Mount else 'whole')
        if hasattr(fault, 'first'):
            fault.first.let_go()
        for outcome, least in at_least.items():
            self.assertGreaterEqual(seen.get(outcome, 0), least, seen)

    def test_control_group(self):
        self.under_fire(ControlGroup, {'nothing': 10, 'whole': Rounds.SPARED + 3})

    def test_veth(self):
        self.under_fire(Veth, {'nothing': 10, 'whole': Rounds.SPARED + 1})

    def test_tap(self):
        self.under_fire(Tap, {'nothing': 10, 'whole': Rounds.SPARED + 1})

    def test_registration(self):
        self.under_fire(Registration, {'nothing': 10, 'whole': Rounds.SPARED})

    def test_mount(self):
        self.under_fire(Mount, {'nothing': 10})

    def test_allocation_below(self):
        self.under_fire(AllocationBelow, {'nothing': 20, 'whole': Rounds.SPARED + 1})


if __name__ == '__main__':
    harness.main()
