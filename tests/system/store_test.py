#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service manager's descriptor store: pinned mounts outlast a restart; what is stale is dropped; a user namespace is
never in there, since it would never die."""
import os, resource

import harness
from harness import DaemonTest, alloc, wait_until
from nslib import CLONE_NEWNS, MFD, MOUNT, UFD, Conn, fsmount_tmpfs, idmap_mount, run_in, setns, send_fds, unshare
from nslib import CLONE_NEWUSER, Child, become


def add_mount(one, mount):
    with Conn() as connection:
        connection.ok(MOUNT, {UFD: 0, MFD: 1}, [one.fd, mount])


def identity(fd):
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def kept(service):
    """Device and inode of everything that the service has open and can be looked at."""
    found = set()
    for name in os.listdir('/proc/%d/fd' % service.pid):
        try:
            status = os.stat('/proc/%d/fd/%s' % (service.pid, name))
            found.add((status.st_dev, status.st_ino))
        except FileNotFoundError:
            pass
    return found


def inner_tmpfs(userns):
    """A tmpfs that belongs to the user namespace, and so keeps it alive."""
    def body(control):
        setns(userns, CLONE_NEWUSER)
        become(0)
        unshare(CLONE_NEWNS)
        send_fds(control, b'x', [fsmount_tmpfs()])
        control.recv(1)
    child = Child(body)
    _, fds = child.hello()
    child.close()
    return fds[0]


class Store(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance()

    def name(self, one):
        return 'userns-%d' % one.inode

    def restart(self, stop=None):
        """With what is stored, as the service manager does it."""
        (stop or self.service.stop)()
        self.service.pass_on([fd for _, fd in self.service.manager.stored], [n for n, _ in self.service.manager.stored])
        self.service.start()
        self.service.take_notes()

    def stored(self):
        self.service.take_notes()
        return self.service.manager.names()

    def with_mount(self, **settings):
        """A registration with a mount that only the service holds, and that mount's identity."""
        one = self.keep(alloc(**settings))
        mount = fsmount_tmpfs()
        add_mount(one, mount)
        found = identity(mount)
        os.close(mount)
        wait_until(lambda: self.name(one) in self.stored(), 'FDSTORE=1')
        return one, found

    def test_is_stored_once_and_is_the_mount(self):
        one = self.keep(alloc())
        mount = fsmount_tmpfs()
        add_mount(one, mount)
        add_mount(one, mount)
        wait_until(lambda: self.stored(), 'FDSTORE=1')
        self.assertEqual(self.stored(), [self.name(one)])
        self.assertEqual(identity(self.service.manager.stored[0][1]), identity(mount))
        self.assertIn(identity(mount), kept(self.service))
        os.close(mount)

    def test_is_dropped_with_its_namespace(self):
        one, mount = self.with_mount()
        other, _ = self.with_mount()
        one.close()
        wait_until(lambda: self.name(one) not in self.stored(), 'FDSTOREREMOVE=1')
        self.assertEqual(self.stored(), [self.name(other)])
        wait_until(lambda: mount not in kept(self.service), 'end of the pin')

    def test_outlasts_a_restart(self):
        for stop in (self.service.stop, self.service.kill):
            one, mount = self.with_mount()
            self.restart(stop)
            self.assertIn(mount, kept(self.service))
            self.assertEqual(self.stored(), [self.name(one)])
            self.assertNotIn('FDSTOREREMOVE=1', self.service.notes)
            one.close()
            wait_until(lambda: not self.stored(), 'FDSTOREREMOVE=1')
            wait_until(lambda: mount not in kept(self.service), 'end of the pin')

    def test_what_died_meanwhile_is_dropped_at_start(self):
        one, mount = self.with_mount()
        other, living = self.with_mount()
        self.service.stop()
        one.close()
        self.restart(lambda: None)
        wait_until(lambda: self.name(one) not in self.stored(), 'FDSTOREREMOVE=1')
        self.assertEqual(self.stored(), [self.name(other)])
        wait_until(lambda: mount not in kept(self.service), 'end of the dead one')
        self.assertIn(living, kept(self.service))

    def test_stale_names_are_dropped_at_start(self):
        self.service.stop()
        for name in ('userns-1', 'userns-18446744073709551615'):
            self.service.manager.stored.append((name, fsmount_tmpfs()))
        self.restart(lambda: None)
        self.assertEqual(self.stored(), [])

    def test_unfit_names_are_closed_with_a_warning(self):
        self.service.stop()
        names = ['userns-', 'userns-x', 'userns-1x', 'userns--1', 'userns-18446744073709551616', 'other']
        mounts = [fsmount_tmpfs() for _ in names]
        self.service.manager.stored += zip(names, mounts)
        self.restart(lambda: None)
        for name, mount in zip(names, mounts):
            self.assertIn("'%s'" % name, self.service.text())
            self.assertNotIn(identity(mount), kept(self.service))

    def check_is_never_stored(self, make):
        one = alloc()
        mount = make(one)
        add_mount(one, mount)
        _, fence = self.with_mount()  # notes come in order
        self.assertNotIn(self.name(one), self.stored())
        os.close(mount)
        one.close()
        wait_until(lambda: 'i%d.userns' % one.inode not in self.service.files(), 'release')

    def test_mount_that_belongs_to_the_namespace(self):
        self.check_is_never_stored(lambda one: inner_tmpfs(one.fd))

    def test_id_mapped_mount_keeps_nothing_alive(self):
        """It may be stored, for on this kernel the mount alone does not keep the namespace; else it may not."""
        one = alloc()
        mount = fsmount_tmpfs()
        idmap_mount(mount, one.fd)
        add_mount(one, mount)
        os.close(mount)
        one.close()
        wait_until(lambda: not self.service.files(), 'release')
        wait_until(lambda: not self.stored(), 'FDSTOREREMOVE=1')

    def test_stored_namespace_is_dropped_at_start(self):
        """As systemd-nsresourced stores it. The mounts under the same name stay."""
        one, mount = self.with_mount()
        only = self.keep(alloc())
        self.service.stop()
        self.service.manager.stored += [(self.name(one), os.dup(one.fd)), (self.name(only), os.dup(only.fd))]
        self.restart(lambda: None)
        wait_until(lambda: self.stored() == [self.name(one)], 'FDSTOREREMOVE=1')
        self.assertEqual(identity(self.service.manager.stored[0][1]), mount)
        self.assertIn(mount, kept(self.service))
        self.assertNotIn(identity(one.fd), kept(self.service))
        inodes = [one.inode, only.inode]
        one.close()
        only.close()
        self.service.fds = []
        wait_until(lambda: not self.service.files(), 'release of %r' % inodes)

    def test_service_manager_that_does_not_listen(self):
        """Its queue holds ten messages, here. Nobody waits for it, and in the end it knows everything."""
        ones = [alloc() for _ in range(30)]
        for one in ones:
            mount = fsmount_tmpfs()
            add_mount(one, mount)
            os.close(mount)
        with Conn() as connection:
            connection.works()
        gone, stay = ones[:15], ones[15:]
        for one in gone:
            one.close()
        wait_until(lambda: len([name for name in self.service.files() if name.startswith('i')]) == 15, 'release')
        wait_until(lambda: self.stored() == sorted(map(self.name, stay)), 'all notes')
        for one in stay:
            one.close()
        self.service.wait_empty()
        wait_until(lambda: not self.stored(), 'FDSTOREREMOVE=1')

    def test_no_service_manager(self):
        service = self.service
        service.stop()
        service.without_manager = True
        service.launch()
        one = wait_until(lambda: self.try_alloc(), 'service')
        mount = fsmount_tmpfs()
        add_mount(one, mount)
        found = identity(mount)
        os.close(mount)
        wait_until(lambda: found in kept(service), 'pin')
        one.close()
        wait_until(lambda: found not in kept(service), 'end of the pin')
        service.kill()
        service.without_manager = False
        service.start()

    def try_alloc(self):
        try:
            return alloc()
        except OSError:
            return None


class FewDescriptors(DaemonTest):
    """As many mounts as anybody likes take no descriptor that clients and workers need."""
    LIMIT, MOUNTS, NAMESPACES = 64, 40, 3

    def fill(self, service):
        namespaces = [self.keep(alloc()) for _ in range(self.NAMESPACES)]
        for i in range(self.MOUNTS):
            mount = fsmount_tmpfs()
            try:
                add_mount(namespaces[i % self.NAMESPACES], mount)
            finally:
                os.close(mount)
            service.take_notes()
        return namespaces

    def stored(self, service):
        service.take_notes()
        return len(service.manager.stored)

    def wait_for_empty_store(self, service):
        wait_until(lambda: self.stored(service) == 0, 'FDSTOREREMOVE=1')

    def check_served(self, service, manager):
        self.assertEqual(service.pid, manager)
        with Conn() as connection:
            connection.works()
        self.keep(alloc()).close()

    def check_mounts(self, service):
        service.start()
        manager, workers = service.pid, service.idle_workers()
        idle = [self.keep(Conn()) for _ in range(3)]
        for one in idle:
            one.works()
        namespaces = self.fill(service)
        for one in idle:
            one.works()
        self.check_served(service, manager)
        self.assertLess(service.descriptors()[0], self.LIMIT)
        self.assertLessEqual(set(workers), set(service.workers()), 'a worker was killed')
        self.assertIn('is not kept', service.text())
        for one in namespaces:
            one.close()
        service.wait_empty()
        self.wait_for_empty_store(service)
        self.check_served(service, manager)

    def test_with_a_service_manager(self):
        self.check_mounts(self.prepared(limits=[(resource.RLIMIT_NOFILE, self.LIMIT)]))

    def test_where_the_service_manager_does_not_listen(self):
        """Then copies for it wait in the service."""
        service = self.prepared(limits=[(resource.RLIMIT_NOFILE, self.LIMIT)])
        take_notes = service.take_notes
        service.start()
        service.take_notes = lambda: ''
        self.fill(service)
        self.check_served(service, service.pid)
        service.take_notes = take_notes

    def test_more_in_store_than_room(self):
        """A smaller limit than that of the instance before: the service manager's copies keep the mounts."""
        service = self.instance()
        namespaces = self.fill(service)
        wait_until(lambda: self.stored(service) == self.MOUNTS, 'the store')
        service.stop()
        names = [name for name, _ in service.manager.stored]
        service.limits = [(resource.RLIMIT_NOFILE, 2 * self.LIMIT)]
        service.pass_on([fd for _, fd in service.manager.stored], [name for name, _ in service.manager.stored])
        service.start()
        self.check_served(service, service.pid)
        self.assertEqual(sorted(name for name, _ in service.manager.stored), sorted(names))
        for one in namespaces:
            one.close()
        service.wait_empty()
        self.wait_for_empty_store(service)


if __name__ == '__main__':
    harness.main()
