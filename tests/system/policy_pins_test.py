#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is pinned: taken over, exchanged, replaced where it is broken, made again where it is missing."""
import json, os, shutil, struct

import harness
import bpf, nslib
from guard import Guard
from harness import alloc, wait_until
from nslib import CFD, CGROUP, CLONE_NEWNS, Cgroup, Conn, MS_PRIVATE, MS_REC, UFD, mount, unshare
from pins import EMPTY
from policy_case import PolicyTest

OTHER_DIGEST = '0' * 32


class Exchange(PolicyTest):
    def test_no_moment_without(self):
        """Programs of another version go when those of this one are at work."""
        service = self.enforcing()
        one = self.managed()
        old = service.pins.links()
        name, = service.pins.sets('policy')
        service.kill()
        os.rename(service.pins.at(name), service.pins.at('policy-%s-0' % OTHER_DIGEST))
        path = self.place()
        guard = self.keep(Guard(one.fd, path))
        service.start()
        self.check_restricted(one)
        count, seen = guard.stop()
        self.assertGreater(count, 100)
        self.assertEqual(seen, ['EPERM'])
        self.assertEqual(os.listdir(path), [])
        self.assertEqual(service.pins.sets('policy'), [name])
        new = service.pins.links()
        self.assertEqual(len(new), len(old))
        for link in new:
            if link.startswith('policy'):
                self.assertNotIn(new[link], old.values(), link)


class Broken(PolicyTest):
    """One after the other, each time the service starts with a namespace that lives."""
    SIZE = struct.calcsize(bpf.NAMESPACE)

    def start_after(self, harm, kind):
        """What is broken is replaced, which is said, and nothing that was known is lost."""
        service = self.service
        old = service.pins.sets(kind)
        service.kill()
        harm(service.pins)
        said = service.text()
        service.start()
        self.check_level(service, 'enforce')
        self.assertIn(service.pins.at(old[0]), service.text()[len(said):])
        self.assertNotEqual(service.pins.sets(kind), old)
        self.assertEqual(service.pins.content(), self.content)
        self.check_restricted(self.one)

    def put(self, path, other):
        os.unlink(path)
        if isinstance(other, str):
            return os.link(other, path)
        bpf.pin(other, path)
        os.close(other)

    def link_missing(self, pins):
        os.unlink(pins.only('policy') + '/judge_mkdir')

    def link_of_another_program(self, pins):
        self.put(pins.only('policy') + '/judge_mkdir', pins.only('policy') + '/judge_symlink')

    def no_link_at_all(self, pins):
        self.put(pins.only('policy') + '/judge_mkdir', pins.only('maps') + '/owners')

    def death_link_missing(self, pins):
        shutil.rmtree(pins.only('deaths'))
        os.mkdir(pins.at(self.service_deaths))

    def map_of_another_size(self, pins):
        self.put(pins.only('maps') + '/namespaces', bpf.create_map('namespaces', 4, self.SIZE, 100))

    def other_map_of_the_same_shape(self, pins):
        """The programs go by the map that was there before."""
        self.put(pins.only('maps') + '/namespaces', bpf.create_map('namespaces', 4, self.SIZE, 65536))

    def test_one_after_the_other(self):
        self.service = self.enforcing()
        self.one = self.managed()
        self.content = self.service.pins.content()
        for harm, kind in ((self.link_missing, 'policy'), (self.link_of_another_program, 'policy'),
                           (self.no_link_at_all, 'policy'), (self.death_link_missing, 'deaths'),
                           (self.map_of_another_size, 'maps'), (self.other_map_of_the_same_shape, 'policy')):
            self.service_deaths, = self.service.pins.sets('deaths')
            with self.subTest(harm.__name__):
                self.start_after(harm, kind)
        links = self.service.pins.links()
        self.service.kill()
        self.service.start()
        self.assertEqual(self.service.pins.links(), links, 'what was replaced is good')
        self.one.close()
        self.wait_gone(self.service, self.one)


class Untrusted(PolicyTest):
    """What stands where the directory should, and is not root's alone."""

    def set_mode(self):
        os.chmod(self.path, 0o755)

    def set_owner(self):
        os.chmod(self.path, 0o700)
        os.chown(self.path, 1, 0)

    def put_link(self):
        os.chown(self.path, 0, 0)
        os.rename(self.path, self.aside)
        os.symlink(self.aside, self.path)

    def put_file(self):
        os.unlink(self.path)
        some = bpf.create_map('some', 4, 4, 1)
        bpf.pin(some, self.path)
        os.close(some)

    def repair(self):
        os.unlink(self.path)
        os.rename(self.aside, self.path)

    def check(self, service, one, *options, level):
        service.kill()
        self.restart(service, *options)
        self.check_level(service, level)
        self.assertIn(self.path, self.status(service)['reason'])
        self.check_restricted(one)

    def test_one_after_the_other(self):
        """The level says why there is no policy; what is at work goes on, and is found again."""
        service = self.enforcing()
        one = self.managed()
        self.path, links = service.pins.path, service.pins.links()
        self.aside = '/sys/fs/bpf/aside-' + os.path.basename(self.path)
        self.addCleanup(shutil.rmtree, self.aside, ignore_errors=True)
        for harm in (self.set_mode, self.set_owner, self.put_link, self.put_file):
            with self.subTest(harm.__name__):
                harm()
                self.check(service, one, '--enforcement=auto', level='quarantine')
        self.check(service, one, '--enforcement=enforce', level='refuse')
        self.repair()
        service.kill()
        service.start()
        self.check_level(service, 'enforce')
        self.assertEqual(service.pins.links(), links)
        self.check_restricted(one)


class Unwatched(PolicyTest):
    """Files of a time without the policy may carry the ids of ranges that were in use: they are not handed out again."""

    def start_of_the_next(self, harm):
        service = self.enforcing()
        one = self.managed(name='one')
        service.kill()
        harm(service.pins)
        service.start()
        self.check_level(service, 'enforce')
        one.close()
        self.wait_gone(service, one)
        return one.start, self.managed(name='one').start

    def test_watched(self):
        """Where nothing is missing, a name gets its range again."""
        before, after = self.start_of_the_next(lambda pins: None)
        self.assertEqual(after, before)

    def test_without_pins(self):
        before, after = self.start_of_the_next(lambda pins: pins.remove())
        self.assertNotEqual(after, before)

    def test_without_the_mark(self):
        """As after a time at another level, or a start that was cut short."""
        before, after = self.start_of_the_next(lambda pins: os.rmdir(pins.at('enforced')))
        self.assertNotEqual(after, before)

    def test_without_an_entry(self):
        def empty(pins):
            with pins.map('namespaces') as entries:
                entries.delete_all(entries.keys())
        before, after = self.start_of_the_next(empty)
        self.assertNotEqual(after, before)


class Lost(PolicyTest):
    """Entries that somebody removed are made again from the registry."""

    def family(self):
        """One with a cgroup, which gave one of its ranges to one below; and one of `type: self`."""
        parent = self.managed(delegateContainerRanges=2)
        group = Cgroup()
        self.addCleanup(group.remove)
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [parent.fd, group.fd])
        return parent, self.managed(parent=parent.fd), self.managed(uid=1000, type='self', size=1)

    def check(self, lose):
        service = self.enforcing()
        family = self.family()
        content = service.pins.content()
        self.assertEqual([len(content[name]) for name in ('namespaces', 'owners', 'cgroups')], [3, 3, 1])
        service.kill()
        lose(service.pins)
        service.start()
        self.check_level(service, 'enforce')
        self.assertEqual(service.pins.content(), content)
        self.check_restricted(*family[:2])
        for one in reversed(family):
            one.close()
        service.wait_empty()
        self.assertEqual(service.pins.content(), EMPTY)

    def test_entries(self):
        def empty(pins):
            for name in EMPTY:
                with pins.map(name) as entries:
                    entries.delete_all(entries.keys())
        self.check(empty)

    def test_claims(self):
        """Whoever made the entry of the namespace was killed before the rest of it."""
        def empty(pins):
            for name in ('owners', 'cgroups'):
                with pins.map(name) as entries:
                    entries.delete_all(entries.keys())
        self.check(empty)

    def test_pins(self):
        self.check(lambda pins: pins.remove())

    def test_pins_of_a_namespace_that_died_meanwhile(self):
        service = self.enforcing()
        one = alloc()
        service.kill()
        service.pins.remove()
        one.close()
        if not self.kernel_tells(service):
            self.skipTest('nothing on this kernel tells that it is dead')
        service.start()
        self.wait_gone(service, one)

    def kernel_tells(self, service):
        release = tuple(int(part) for part in os.uname().release.split('-')[0].split('.')[:2])
        return release >= (6, 18)


class Successor(PolicyTest):
    def test_inode_number_of_a_namespace_whose_death_was_missed(self):
        """The recorded one is dead, since the number has another 64-bit id by now, whatever the entry says of it."""
        service = self.enforcing()
        one = alloc()
        service.kill()
        path = os.path.join(service.registry, 'i%d.userns' % one.inode)
        with open(path, 'r+') as file:
            record = json.load(file)
            if not record.get('usernsId'):
                self.skipTest('this kernel has no ids of namespaces')
            record['usernsId'] += 1 << 40
            file.seek(0)
            json.dump(record, file)
            file.truncate()
        key = struct.pack('=I', one.inode)
        with service.pins.map('namespaces') as namespaces:
            value = namespaces.get(key)
            namespaces.set(key, struct.pack('=Q', record['usernsId']) + value[8:])
        service.start()
        self.assertIn('i%d.userns' % one.inode, service.files())
        group = Cgroup()
        self.addCleanup(group.remove)
        with Conn() as connection:
            connection.err('UserNamespaceNotRegistered', CGROUP, {UFD: 0, CFD: 1}, [one.fd, group.fd])
        service.wait_empty()
        self.assertEqual(service.pins.content(), EMPTY)
        one.close()


class Abandoned(PolicyTest):
    def test_pins_of_an_instance_that_is_gone(self):
        """They go with the next start of another one, but not before its last namespace is dead."""
        gone = self.enforcing()
        one = self.managed()
        gone.kill()
        pins = gone.pins
        self.addCleanup(lambda: os.path.isdir(pins.path) and pins.remove())
        shutil.rmtree(gone.run)
        other = self.instance(enforcement='none')
        self.assertTrue(os.path.isdir(pins.path))
        self.check_restricted(one)
        one.close()
        wait_until(lambda: pins.is_dead(one.inode), 'mark')
        other.stop()
        other.start()
        self.assertFalse(os.path.exists(pins.path))

    def test_pins_of_one_that_runs_out_of_sight(self):
        """Its runtime directory is in another mount namespace, and it has nothing to enforce yet."""
        service = self.enforcing()
        links = service.pins.links()

        def hide():
            unshare(CLONE_NEWNS)
            mount('none', '/', None, MS_REC | MS_PRIVATE)
            mount('tmpfs', service.scratch, 'tmpfs')
        other = self.instance(enforcement='none', prepare=hide)
        self.assertIsNotNone(service.pins)
        self.assertEqual(service.pins.links(), links)
        other.stop()
        nslib.CFG.update(socket=service.socket, registry=service.registry)
        self.check_restricted(self.managed())

    def test_what_is_not_roots_alone(self):
        path = '/sys/fs/bpf/nsresource-test-%d' % os.getpid()
        self.enforcing()
        os.mkdir(path, 0o755)
        self.addCleanup(shutil.rmtree, path)
        os.symlink('/nonexistent', path + '/runtime')
        self.instance(enforcement='none')
        self.assertTrue(os.path.isdir(path))


if __name__ == '__main__':
    harness.main()
