#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel gives the inode number of a dead namespace to the next one that is made. A registration under it that
comes before the death was noticed must not hide the dead one: its mounts are let go, and its cgroups removed."""
import os, subprocess, time

import harness
from harness import DaemonTest, Namespace, alloc, wait_until
from nslib import ALLOC, CFD, CGROUP, MFD, MOUNT, UFD, Cgroup, Conn, make_userns, mount, umount

ROUNDS = 40
ENOUGH, TRIES = 8, 40


class InodeReuse(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.service.quiet_workers()

    def mounted(self, number):
        path = self.service.path('mount%d' % number)
        os.mkdir(path)
        mount('nsr-test', path, 'tmpfs')
        self.open.callback(umount, path)
        return path

    def busy_cgroup(self):
        cgroup, process = Cgroup(), subprocess.Popen(['sleep', '1000'])
        self.open.callback(cgroup.remove)
        self.open.callback(process.wait)
        self.open.callback(process.kill)
        with open(cgroup.path + '/cgroup.procs', 'w') as file:
            file.write(str(process.pid))
        return cgroup, process

    def add_mount(self, one, path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        with Conn() as connection:
            connection.ok(MOUNT, {UFD: 0, MFD: 1}, [one.fd, fd])
        os.close(fd)

    def add_cgroup(self, one, cgroup):
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])

    def same_number(self, inode):
        """A namespace under the number of one that has just died, None if somebody else has got it."""
        for _ in range(TRIES):
            one = Namespace(make_userns(0))
            if one.inode == inode:
                return self.keep(one)
            one.close()
        return None

    def follow(self, dead):
        """A namespace under the inode number of one that dies now, registered at once; None if that cannot be had."""
        dead.close()
        one = self.same_number(dead.inode)
        if one is None:
            return None
        with Conn() as connection:
            outcome = connection.call(ALLOC, {'name': 'again', 'size': 65536, UFD: 0}, [one.fd]).ident()
        # A refusal for the name is another fault's matter.
        return one if outcome == 'ok' else one.close()

    def rounds(self, give, drop):
        """What was given to namespaces that died and had a follower at once, with these followers."""
        found = []
        for number in range(ROUNDS):
            self.service.wait_empty()
            wait_until(lambda: not self.service.files('cgroups') or found, 'no cgroups')
            one = self.keep(alloc(name='again'))
            given = give(one, number)
            follower = self.follow(one)
            if follower:
                found.append(given)
                yield given, follower
            else:
                drop(given)
            if len(found) == ENOUGH:
                return
        if not found:
            self.skipTest('the kernel gave no inode number to the next namespace')

    def give_mount(self, one, number):
        path = self.mounted(number)
        self.add_mount(one, path)
        return path

    def wait_for_umount(self, path):
        """The service manager of the test keeps it, too, until it is told not to."""
        wait_until(lambda: self.service.take_notes() and umount(path, 0) == 0, 'umount')

    def check_mounts(self, follower_dies):
        kept = 0
        for path, follower in self.rounds(self.give_mount, lambda path: None):
            if follower_dies:
                follower.close()
            try:
                self.wait_for_umount(path)
            except AssertionError:
                kept += 1
            follower.close()
            if kept == 2:
                break
        self.assertEqual(kept, 0, 'mounts that stayed pinned')

    def test_mounts(self):
        self.check_mounts(follower_dies=True)

    def test_mounts_while_the_follower_lives(self):
        self.check_mounts(follower_dies=False)

    def test_mounts_of_both(self):
        """Those of the follower stay as long as it lives."""
        for path, follower in self.rounds(self.give_mount, lambda path: None):
            own = self.mounted(10000 + follower.inode % 1000 * 100 + int(path.rsplit('mount')[-1]))
            self.add_mount(follower, own)
            self.wait_for_umount(path)
            self.assertEqual(umount(own, 0), -1, 'the mount of a living namespace was let go')
            follower.close()
            self.wait_for_umount(own)

    def check_cgroups(self, follower_dies):
        def give(one, number):
            cgroup, process = self.busy_cgroup()
            self.add_cgroup(one, cgroup)
            return cgroup, process

        def end(given):
            given[1].kill()
            given[1].wait()
        kept = 0
        for (cgroup, process), follower in self.rounds(give, end):
            if follower_dies:
                follower.close()
            end((cgroup, process))
            try:
                wait_until(lambda: not os.path.exists(cgroup.path), 'removal')
            except AssertionError:
                kept += 1
            follower.close()
            if kept == 2:
                break
        self.assertEqual(kept, 0, 'cgroups that stayed')

    def test_busy_cgroups(self):
        self.check_cgroups(follower_dies=True)

    def test_busy_cgroups_while_the_follower_lives(self):
        self.check_cgroups(follower_dies=False)


if __name__ == '__main__':
    harness.main()
