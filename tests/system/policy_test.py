#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Enforcement by the kernel: over restarts and kills of the service, changes of the level, and deaths."""
import contextlib, os, signal, struct

import harness
import bpf
from guard import Guard
from harness import alloc, wait_until
from nslib import (CFD, CGROUP, CLONE_NEWNS, Cgroup, Conn, Inside, K64, MS_REC, MS_SLAVE, REGISTER, UFD, allocate,
                   attempt, make_userns, maps, mount, run_in, try_allocate, unshare)
from pins import EMPTY
from policy_case import PolicyTest

UNMANAGED_START = 700000  # of the pool, but nobody's


class Restarts(PolicyTest):
    def test_everybody_says_that_it_enforces(self):
        service = self.enforcing()
        self.assertTrue(any(note.startswith('STATUS=Enforcement: enforce') for note in service.notes), service.notes)
        self.assertIn('Enforcement: enforce', service.text())
        self.assertEqual(self.ctl(service, 'status')['enforcement'], 'enforce')

    def test_it_outlives_the_service(self):
        service = self.enforcing()
        one = self.managed()
        links = service.pins.links()
        for ending in (service.stop, service.kill):
            two = self.managed()
            ending()
            self.check_restricted(one, two)
            self.assertEqual(service.pins.links(), links)
            two.close()
            service.start()
            self.assertEqual(service.pins.links(), links)
            self.check_level(service, 'enforce')
            self.check_restricted(one)
            # It died while nobody was there.
            self.wait_gone(service, two)
        self.assertEqual([name for name in service.files() if name.startswith('i')], ['i%d.userns' % one.inode])
        self.assertEqual(len(service.pins.content()['namespaces']), 1)

    def test_resources_of_one_that_dies_meanwhile(self):
        """They go with the record."""
        service = self.enforcing()
        one, group = alloc(), Cgroup()
        self.addCleanup(group.remove)
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, group.fd])
        service.kill()
        one.close()
        wait_until(lambda: service.pins.is_dead(one.inode), 'mark')
        service.start()
        service.wait_empty()
        self.assertFalse(os.path.exists(group.path))

    def test_without_namespaces(self):
        service = self.enforcing()
        links = service.pins.links()
        service.kill()
        self.assertEqual(service.pins.links(), links)
        service.start()
        self.assertEqual(service.pins.links(), links)
        self.assertEqual(service.stop(), 0)
        self.assertIsNone(service.pins)
        service.start()


class Crowded(PolicyTest):
    """Where the policy is attached to functions, a kernel with preemption leaves it out for a task while another one is
    put off in the middle of it, on the same processor."""
    PROCESSES, ATTEMPTS = 8, 500

    def outcomes(self, one):
        processors = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, processors)
        os.sched_setaffinity(0, {min(processors)})
        guards = [self.keep(Guard(one.fd, self.place())) for _ in range(self.PROCESSES)]
        wait_until(lambda: all(guard.attempts() >= self.ATTEMPTS for guard in guards), 'attempts', 120)
        return {outcome for guard in guards for outcome in guard.stop()[1]}

    def test_many_at_once_on_one_processor(self):
        """All are refused; or, where that cannot be, the range is not used again."""
        service = self.enforcing()
        one = alloc(name='one')
        outcomes = self.outcomes(one)
        with open('/sys/kernel/security/lsm') as file:
            if 'bpf' in file.read().split(','):
                self.assertEqual(outcomes, {'EPERM'})
        self.assertLessEqual(outcomes, {'EPERM', 'ok'})
        one.close()
        self.wait_gone(service, one)
        again = self.managed(name='one')
        if 'ok' in outcomes:
            self.assertNotEqual(again.start, one.start)


class Levels(PolicyTest):
    def check_self(self, one):
        self.assertEqual(run_in(lambda: attempt(os.setgroups, []), one.fd, ids=False), 'EPERM')

    def test_change(self):
        """Nobody loses a restriction on the way, and no range is used twice where that is promised."""
        service = self.enforcing()
        stays, dies = self.managed(name='stays'), self.managed(name='dies')
        own = self.keep(allocate(1, uid=1000, type='self', target=0))
        links = {name: ids for name, ids in service.pins.links().items() if name.startswith('policy')}
        service.stop()
        self.restart(service, '--enforcement=quarantine')
        self.check_level(service, 'quarantine')
        self.check_restricted(stays)
        self.check_self(own)
        dies.close()
        self.wait_gone(service, dies)
        same_name = self.managed(name='dies')
        self.assertNotEqual(same_name.start, dies.start)
        used = self.managed(name='used')
        used.close()
        self.wait_gone(service, used)
        service.stop()
        self.check_restricted(stays, same_name)
        self.restart(service, '--enforcement=enforce')
        self.check_level(service, 'enforce')
        self.check_restricted(stays, same_name)
        self.check_self(own)
        self.assertNotEqual(self.managed(name='used').start, used.start)
        now = service.pins.links()
        self.assertEqual({name: now.get(name) for name in links}, links)


class SetGroups(PolicyTest):
    def outcomes(self):
        look = lambda fd: run_in(lambda: attempt(os.setgroups, []), fd, ids=False)
        with Inside(self.own.fd) as inside, open('/proc/%d/setgroups' % inside.pid) as file:
            return look(self.own.fd), look(self.below), look(self.managed_below.fd), file.read().strip()

    def test_type_self(self):
        """Refused there and below, by the policy and not by the file, and allowed again in a managed one below."""
        service = self.enforcing()
        self.own = self.keep(allocate(1, uid=1000, type='self', target=0, delegateContainerRanges=1))
        self.below = make_userns(parent=self.own.fd, maps=[(0, 0, 1)])
        self.open.callback(os.close, self.below)
        self.managed_below = self.keep(alloc(parent=self.own.fd))
        wanted = ('EPERM', 'EPERM', 'ok', 'allow')
        self.assertEqual(self.outcomes(), wanted)
        service.kill()
        self.assertEqual(self.outcomes(), wanted, 'while it is down')
        service.start()
        self.assertEqual(self.outcomes(), wanted, 'after a start')


class Owners(PolicyTest):
    def try_as(self, fd, uid):
        """On a file system of its own, and on the host's."""
        own, host = self.place(), self.place() + '/made'

        def inside():
            unshare(CLONE_NEWNS)
            mount('none', '/', None, MS_REC | MS_SLAVE)
            mount('tmpfs', own, 'tmpfs', 0, 'mode=777')
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            return attempt(os.mkdir, own + '/made'), attempt(os.mkdir, host)
        return run_in(inside, fd)

    def test_delegated_range_comes_back(self):
        service = self.enforcing()
        parent = self.managed(delegateContainerRanges=1)
        start = parent.um[1][1]
        self.assertEqual(self.try_as(parent.fd, start), ('ok', 'EPERM'))
        child = self.managed(parent=parent.fd)
        self.assertEqual(child.start, start)
        # What has its ids on the file system of the one above would outlive it.
        self.assertEqual(self.try_as(parent.fd, start), ('EPERM', 'EPERM'))
        self.assertEqual(self.try_as(child.fd, 0), ('ok', 'EPERM'))
        child.close()
        self.wait_gone(service, child)
        self.assertEqual(self.try_as(parent.fd, start), ('ok', 'EPERM'))


class Dead(PolicyTest):
    TRIES = 300

    def same_inode(self, inode):
        """An unmanaged namespace with the inode number of a dead one, if the kernel gives it to us."""
        for _ in range(self.TRIES):
            fd = make_userns(maps=[(0, UNMANAGED_START, K64)])
            self.open.callback(os.close, fd)
            if os.fstat(fd).st_ino == inode:
                return fd
        self.skipTest('the inode number %d was not used again' % inode)

    def test_a_dead_one_restricts_nobody(self):
        service = self.enforcing()
        one = alloc()
        service.send(signal.SIGSTOP)
        try:
            one.close()
            wait_until(lambda: service.pins.is_dead(one.inode), 'mark')
            unmanaged = self.same_inode(one.inode)
            self.assertTrue(service.pins.is_dead(one.inode))
            self.assertEqual(self.try_mkdir(unmanaged), 'ok')
            # The test can fail: without the mark, and where the kernel does not tell the two apart.
            with service.pins.map('namespaces') as namespaces:
                key = struct.pack('=I', one.inode)
                number, flags, _, missed = struct.unpack(bpf.NAMESPACE, namespaces.get(key))
                namespaces.set(key, struct.pack(bpf.NAMESPACE, number, flags, 0, missed))
                self.assertEqual(self.try_mkdir(unmanaged), 'ok' if number else 'EPERM')
                namespaces.set(key, struct.pack(bpf.NAMESPACE, number, flags, 1, missed))
        finally:
            service.send(signal.SIGCONT)
        self.wait_gone(service, one)


class Full(PolicyTest):
    def fill(self, service, name, value):
        """Takes all the room that there is in a map, with keys that nobody has; gives it back at the end."""
        entries = self.keep(service.pins.map(name))
        keys = [struct.pack('=I', number) for number in range(1, entries.max_entries + 1)]
        entries.set_all(keys, value)
        return entries, keys

    def check_without_trace(self, service, target, ask):
        before = service.contents()
        self.assertEqual(ask(), 'System:ENOSPC')
        self.assertEqual(service.contents(), before)
        self.assertEqual(service.unfinished(), [])
        with open(os.path.join(service.run, 'nsresource/taken'), 'rb') as file:
            self.assertEqual(file.read().strip(b'\0'), b'')
        return maps(target)

    def check_map(self, service, name, value):
        entries, keys = self.fill(service, name, value)
        with Conn() as connection, contextlib.ExitStack() as kept:
            empty = make_userns()
            mapped = make_userns(maps=[(0, 0, 1)])
            for fd in (empty, mapped):
                kept.callback(os.close, fd)
            allocates = lambda: try_allocate(connection, fd=empty, name='a').ident()
            registers = lambda: connection.call(REGISTER, {'name': 'r', UFD: 0}, [mapped]).ident()
            self.assertEqual(self.check_without_trace(service, empty, allocates), ([], []))
            if name == 'namespaces':
                self.check_without_trace(service, mapped, registers)
            wanted = {key: value for key in keys}
            self.assertEqual({key: entries.get(key) for key in entries.keys()}, wanted)
            for ask in (allocates, registers) if name == 'namespaces' else (allocates,):
                entries.delete(keys.pop())
                self.assertEqual(ask(), 'ok')
        entries.delete_all(keys)
        service.wait_empty()
        self.assertEqual(service.pins.content(), EMPTY)

    def test_no_room(self):
        service = self.enforcing()
        self.check_map(service, 'namespaces', struct.pack(bpf.NAMESPACE, 0, 0, 0, 0))
        self.check_map(service, 'owners', struct.pack('=I', 1))


if __name__ == '__main__':
    harness.main()
