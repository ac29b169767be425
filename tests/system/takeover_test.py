#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Taking over from systemd-nsresourced: what it has registered is honoured."""
import json, os, shutil, subprocess

import harness
from harness import DaemonTest, alloc, wait_until
from incumbent import K64, Living, Registry, pool_range
from nslib import ALLOC, CFD, CGROUP, GETGROUP, GETUSER, NET, NFD, REGISTER, SERVICE, UFD
from nslib import Cgroup, Conn, link, make_netns, make_userns, try_allocate


class Takeover(DaemonTest):
    AGE = 'new'

    def setUp(self):
        super().setUp()
        self.service = self.prepared()
        self.service.may_stay = ('nsresource/broken',)
        self.registry = Registry(self.service.registry, self.AGE)

    def living(self, *lines, **settings):
        return self.keep(Living(list(lines), **settings))

    def transient(self, name, number=1, size=K64, target=0, owner=0, **more):
        """One with a range, and its start."""
        start = pool_range(number) if size == K64 else 61184 + number
        one = self.living((target, start, size))
        self.registry.record(one, name, owner, (start, size, target), **more)
        return one, start

    def start(self):
        before = self.service.contents()
        self.service.start()
        self.assertEqual(self.service.contents(), before)

    def ask(self, method, **parameters):
        with Conn() as connection:
            return connection.call(method, {**parameters, 'service': SERVICE})

    def check_found(self, name, start, size):
        for offset in {0, size // 2, size - 1}:
            user, group = 'ns-%s-%d' % (name, offset), start + offset
            for reply in (self.ask(GETUSER, uid=group), self.ask(GETUSER, userName=user)):
                self.assertEqual(reply.ident(), 'ok')
                found = reply.params['record']
                self.assertEqual((found['userName'], found['uid']), (user, group))
            for reply in (self.ask(GETGROUP, gid=group), self.ask(GETGROUP, groupName=user)):
                found = reply.params['record']
                self.assertEqual((found['groupName'], found['gid']), (user, group))
        if size > 1:
            self.assertEqual(self.ask(GETUSER, userName='ns-%s-%d' % (name, size)).ident(), 'NoRecordFound')

    def check_taken(self, one, name, start=None, size=K64):
        with Conn() as connection:
            self.assertEqual(try_allocate(connection, name=name).ident(), 'NameExists')
            self.assertIn(try_allocate(connection, fd=one.fd).ident(), ('UserNamespaceExists',
                                                                        'InvalidParameter:' + UFD))
            if start is None:
                return
            # Where there is nothing else to choose from.
            only = self.living((0, 0, 1), (start, start, size))
            below = make_userns(0, parent=only.fd)
            self.assertEqual(try_allocate(connection, fd=below, size=size).ident(), 'NoDynamicRange')
            os.close(below)
            only.close()

    def dies(self, *ones):
        """With everything that was recorded, if it can be told from others that had its inode number."""
        for one in ones:
            one.close()
        if self.AGE == 'new':
            return self.service.wait_empty()
        self.service.stop()
        shutil.rmtree(self.service.registry)  # as a reboot does
        self.service.start()

    def test_container(self):
        one, start = self.transient('box', target=5, owner=1000)
        self.start()
        self.check_found('box', start, K64)
        self.check_taken(one, 'box', start)
        self.dies(one)

    def test_dynamic(self):
        one, start = self.transient('single', size=1)
        self.start()
        self.check_found('single', start, 1)
        self.check_taken(one, 'single', start, 1)
        self.dies(one)

    def test_self(self):
        one = self.living((0, 1000, 1))
        self.registry.record(one, '1000-me', 1000, (1000, 1, 0), setgroupsDeny=True)
        self.start()
        self.assertEqual(self.ask(GETUSER, userName='ns-1000-me-0').params['record']['uid'], 1000)
        self.assertEqual(self.ask(GETUSER, uid=1000).ident(), 'NoRecordFound')
        self.check_taken(one, '1000-me')
        self.dies(one)

    def test_registered_only(self):
        one = self.living((0, 0, 100))
        self.registry.record(one, 'mine')
        self.start()
        self.assertEqual(self.ask(GETUSER, userName='ns-mine-0').ident(), 'NoRecordFound')
        self.check_taken(one, 'mine')
        with Conn() as connection:
            connection.err('UserNamespaceExists', REGISTER, {'name': 'other', UFD: 0}, [one.fd])
        self.dies(one)

    def test_many(self):
        ones = [self.transient('m%d' % number, number, owner=number % 3 * 1000) for number in range(60)]
        self.start()
        for number, (_, start) in enumerate(ones):
            found = self.ask(GETUSER, uid=start + 7).params['record']
            self.assertEqual(found['userName'], 'ns-m%d-7' % number)
        self.dies(*(one for one, _ in ones))

    def test_more_is_added(self):
        """The record keeps what it had, and what came from the other service is counted."""
        one, start = self.transient('grown')
        before = json.loads(harness.read(self.registry.path('i%d.userns' % one.inode)))
        self.start()
        cgroup, network = self.keep_cgroup(), make_netns(one.fd)
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])
            connection.err('ControlGroupAlreadyAdded', CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])
            host = connection.ok(NET, {UFD: 0, NFD: 1, 'mode': 'veth'}, [one.fd, network])['hostInterfaceName']
        os.close(network)
        for name in ('i%d.userns' % one.inode, 'ngrown.userns', 'u%d.userns' % start, 'o0.owns/i%d.userns' % one.inode):
            found = json.loads(harness.read(self.registry.path(name)))
            self.assertEqual(found.pop('cgroups'), [os.fstat(cgroup.fd).st_ino])
            self.assertEqual(found.pop('netifs'), [host])
            self.assertLessEqual(before.items(), found.items())
        self.assertEqual(os.stat(self.registry.path('i%d.userns' % one.inode)).st_nlink, 5)
        if self.AGE == 'new':
            self.dies(one)
            self.assertIsNone(link(host))
            self.assertFalse(os.path.exists(cgroup.path))
            return
        self.dies(one)
        subprocess.run(['ip', 'link', 'del', host], check=False)

    def keep_cgroup(self):
        made = Cgroup()
        self.open.callback(made.remove)
        return made

    def host_link(self, name, alternative):
        if not shutil.which('ip'):
            self.skipTest('no ip(8)')
        self.open.callback(lambda: subprocess.run(['ip', 'link', 'del', name], capture_output=True))
        subprocess.run(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', name.replace('ns-', 'p')], check=True)
        subprocess.run(['ip', 'link', 'property', 'add', 'dev', name, 'altname', alternative], check=True)

    def test_resources(self):
        """Those of a namespace that dies are removed; what is not its own stays, whatever its record says."""
        own, foreign = self.keep_cgroup(), self.keep_cgroup()
        self.host_link('ns-0123456789ab', 'ns-0-rich')
        self.host_link('ns-ba9876543210', 'ns-0-poor')
        one, start = self.transient('rich', cgroups=[os.fstat(own.fd).st_ino, os.fstat(foreign.fd).st_ino, 1, 2 ** 60],
                                    netifs=['ns-0123456789ab', 'ns-ba9876543210', 'lo', 'nobody'])
        os.chown(own.path, start, start)
        self.start()
        self.check_found('rich', start, K64)
        self.dies(one)
        gone = self.AGE == 'new'
        self.assertEqual(link('ns-0123456789ab') is None, gone)
        self.assertEqual(os.path.exists(own.path), not gone)
        for name in ('ns-ba9876543210', 'lo'):
            self.assertIsNotNone(link(name), name)
        self.assertTrue(os.path.exists(foreign.path))

    def family(self):
        """One with three ranges to give, one below with one of them as its own and another to give."""
        s = [pool_range(number) for number in (10, 20, 21, 22)]
        lines = [(0, s[0], K64)] + [(start, start, K64) for start in s[1:]]
        above = self.living(*lines)
        self.registry.record(above, 'above', 0, (s[0], K64, 0), delegates=self.registry.delegations(above, s[1:]))
        for start in s[1:]:
            self.registry.delegation(above, start)
        without_child = self.service.contents()
        below = self.living((0, s[1], K64), (s[2], s[2], K64), parent=above.fd)
        self.registry.record(below, 'below', s[0], (s[1], K64, 0), delegates=self.registry.delegations(below, s[2:3]))
        for name in ('u%d.delegate', 'g%d.delegate'):
            os.unlink(self.registry.path(name % s[2]))
        self.registry.delegation(below, s[2], [above])
        return above, below, s, without_child

    def below(self, parent, **settings):
        return self.keep(alloc(parent=parent.fd, **settings))

    def test_delegated_ranges_are_handed_on(self):
        above, below, s, _ = self.family()
        self.start()
        self.check_found('above', s[0], K64)
        self.check_found('below', s[1], K64)
        self.assertEqual(self.ask(GETUSER, uid=s[2]).ident(), 'NoRecordFound')
        before = self.service.contents()
        ones = [self.below(below), self.below(above)]
        self.assertEqual([one.start for one in ones], [s[2], s[3]])
        with Conn() as connection:
            for parent in (above, below):
                full = make_userns(0, parent=parent.fd)
                self.assertEqual(try_allocate(connection, fd=full).ident(), 'NoDynamicRange')
                os.close(full)
        for one in ones:
            one.close()
        wait_until(lambda: self.service.contents() == before, 'the registry as it was')
        self.dies(below, above)

    def test_more_than_it_has_to_give(self):
        above, below, s, _ = self.family()
        self.start()
        before = self.service.contents()
        with Conn() as connection:
            target = make_userns(0, parent=above.fd)
            self.assertEqual(try_allocate(connection, fd=target, delegateContainerRanges=1).ident(), 'NoDynamicRange')
            os.close(target)
        self.assertEqual(self.service.contents(), before)
        self.dies(below, above)

    def test_the_one_below_dies_first(self):
        if self.AGE == 'old':
            self.skipTest('without usernsId nobody can tell that a namespace is dead')
        above, below, s, without_child = self.family()
        self.start()
        below.close()

        def given_back():
            found = self.service.contents()
            return found.keys() == without_child.keys() and found
        found = wait_until(given_back, 'the registry as it was before')
        for name, (text, links) in without_child.items():
            self.assertEqual((json.loads(found[name][0]), found[name][1]), (json.loads(text), links), name)
        self.dies(above)

    def test_dead_while_nobody_was_there(self):
        if self.AGE == 'old':
            self.skipTest('without usernsId nobody can tell that a namespace is dead')
        above, below, s, _ = self.family()
        one, start = self.transient('box', 50)
        stays, _ = self.transient('stays', 51)
        for dead in (above, below, one):
            dead.close()
        self.service.start()
        wait_until(lambda: len([name for name in self.service.files() if name.startswith('i')]) == 1, 'release')
        self.assertEqual([name for name in self.service.files() if 'delegate' in name], [])
        self.check_taken(stays, 'stays', pool_range(51))
        self.dies(stays)

    BROKEN = ({'start': 1}, {'start': 524289}, {'start': 2 ** 31}, {'size': 100}, {'size': 0}, {'owner': -1},
              {'owner': 2 ** 32}, {'name': ''}, {'name': '../../x'}, {'name': 7}, {'userns': 1}, {'usernsId': 'x'},
              {'startGid': 524288}, {'delegates': [{}]}, {'delegates': 'x'}, {'cgroups': ['x']}, {'cgroups': [-1]},
              {'netifs': [1]}, {'netifs': ['../..']}, {'setgroupsDeny': 'no'}, {'start': 1.5})

    def test_broken_ones_do_no_harm(self):
        for number, changes in enumerate(self.BROKEN):
            with self.subTest(changes):
                good, start = self.transient('good', 70)
                bad, _ = self.transient('bad', 71)
                with open(self.registry.path('i%d.userns' % bad.inode), 'r+') as file:
                    what = json.load(file)
                    file.seek(0)
                    file.truncate()
                    file.write(json.dumps({**what, **changes}))
                self.service.start()
                self.check_found('good', start, K64)
                self.check_taken(good, 'good', start)
                fresh = alloc()
                self.assertNotIn(fresh.start, (start, pool_range(71)))
                fresh.close()
                bad.close()
                good.close()
                self.service.stop()
                shutil.rmtree(self.service.registry)
                self.registry = Registry(self.service.registry, self.AGE)
        self.service.start()


class TakeoverOfOldRecords(Takeover):
    AGE = 'old'

    def test_broken_ones_do_no_harm(self):
        self.skipTest('the same as for new ones')


if __name__ == '__main__':
    harness.main()
