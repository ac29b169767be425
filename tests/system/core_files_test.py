#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Core files that systemd-coredump has opened to a transient id: the id's later owner cannot read them."""
import os, struct

import harness
from harness import DaemonTest, alloc, wait_until
from policy_case import PolicyTest

LIST = 'system.posix_acl_access'
ANYONE = 0xffffffff


def with_users(*users):
    """An access control list: the users may read, beside the owner."""
    entries = [(1, 6, ANYONE), *[(2, 4, user) for user in users], (4, 0, ANYONE), (16, 4, ANYONE), (32, 0, ANYONE)]
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


class Core:
    """A core file of a process of the uid, as systemd-coredump leaves it."""

    def __init__(self, service, uid, *others):
        directory = os.path.join(service.scratch, 'systemd/coredump')
        os.makedirs(directory, mode=0o755, exist_ok=True)
        self.path = '%s/core.sh.%d.5f8e0c1d2b3a49688776a5b4c3d2e1f0.17.1764288000000000.zst' % (directory, uid)
        with open(self.path, 'w'):
            os.chmod(self.path, 0o640)
        os.setxattr(self.path, LIST, with_users(*sorted((uid, *others))))

    def list(self):
        return os.getxattr(self.path, LIST)


class Release(DaemonTest):
    def test_entries_of_the_range_go(self):
        service = self.instance()
        one, two = alloc(), self.keep(alloc())
        core, other = Core(service, one.start + 7, 1000), Core(service, two.start + 7)
        one.close()
        wait_until(lambda: core.list() == with_users(1000), 'entry that goes')
        wait_until(lambda: 'i%d.userns' % one.inode not in service.files(), 'release')
        self.assertEqual(other.list(), with_users(two.start + 7))

    def test_death_while_the_service_is_stopped(self):
        service = self.instance()
        one = alloc()
        core = Core(service, one.start)
        service.stop()
        one.close()
        service.start()
        wait_until(lambda: 'i%d.userns' % one.inode not in service.files(), 'release')
        self.assertEqual(core.list(), with_users())

    def test_directory_of_others_is_left_alone(self):
        service = self.instance()
        one = alloc()
        core = Core(service, one.start)
        os.chmod(os.path.dirname(core.path), 0o777)
        one.close()
        wait_until(lambda: 'core files' in service.text(), 'line in the log')
        self.assertEqual(core.list(), with_users(one.start))


class AtEnforce(PolicyTest):
    def ranges_in_turn(self, spoil):
        """What two namespaces of the same name get, one after the other."""
        service = self.enforcing()
        one = alloc(name='again')
        core = Core(service, one.start)
        if spoil:
            os.chmod(os.path.dirname(core.path), 0o777)
        one.close()
        self.wait_gone(service, one)
        return one.start, self.keep(alloc(name='again')).start

    def test_cleared_range_is_used_again(self):
        first, second = self.ranges_in_turn(spoil=False)
        self.assertEqual(first, second)

    def test_range_that_is_not_cleared_is_kept_back(self):
        first, second = self.ranges_in_turn(spoil=True)
        self.assertNotEqual(first, second)


if __name__ == '__main__':
    harness.main()
