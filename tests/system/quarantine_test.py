#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Enforcement=quarantine: a range is handed out once, over restarts, kills and reboots."""
import os, shutil, stat

import harness
from harness import DaemonTest, alloc
from nslib import Conn, eq, try_allocate, user_by_uid

MAGIC = b'nsrbits\x01'
CONTAINERS, SINGLES = 28664, 4336


def used_file(free_containers, free_singles=range(0)):
    """A `used` file in which only these indices are unused."""
    def bits(count, free):
        made = bytearray(b'\xff' * (count // 8) + (bytes([(1 << count % 8) - 1]) if count % 8 else b''))
        for index in free:
            made[index // 8] &= ~(1 << index % 8)
        return bytes(made)
    return MAGIC + bytes(8) + bits(CONTAINERS, free_containers) + bits(SINGLES, free_singles)


class Quarantine(DaemonTest):
    def service(self, **settings):
        return self.instance(enforcement='quarantine', **settings)

    def write_used(self, service, content, mode=0o600):
        path = os.path.join(service.state, 'used')
        with open(path, 'wb') as file:
            file.write(content)
        os.chmod(path, mode)

    def use(self, service, name='same', size=65536):
        """The start of a range that is used and released at once."""
        one = alloc(name=name, size=size)
        one.close()
        service.wait_empty()
        return one.start

    def reboot(self, service):
        shutil.rmtree(service.run)
        os.mkdir(service.run, 0o755)

    def test_not_twice(self):
        service = self.service()
        for size in (1, 65536):
            starts = [self.use(service, size=size) for _ in range(10)]
            self.assertEqual(len(set(starts)), len(starts))

    def test_more_than_a_block(self):
        self.service()
        starts = []
        for number in range(150):
            one = alloc(name='b%d' % number)
            starts.append(one.start)
            one.close()
        self.assertEqual(len(set(starts)), len(starts))

    def test_not_after_restarts(self):
        service = self.service()
        starts = []
        for ending in (service.stop, service.kill, service.stop, service.kill):
            starts += [self.use(service) for _ in range(3)]
            ending()
            service.start()
        self.assertEqual(len(set(starts)), len(starts))

    def test_not_after_reboots(self):
        service = self.service()
        starts = []
        for ending in (service.kill, service.stop, service.kill):
            starts += [self.use(service) for _ in range(3)]
            ending()
            self.reboot(service)
            service.start()
        starts.append(self.use(service))
        self.assertEqual(len(set(starts)), len(starts))

    def used_bits(self, service):
        with open(os.path.join(service.state, 'used'), 'rb') as file:
            return bin(int.from_bytes(file.read()[16:], 'little')).count('1')

    def test_clean_stop_gives_unused_ones_back(self):
        service = self.service()
        self.assertGreater(self.used_bits(service), 2)
        starts = {self.use(service), self.use(service)}
        service.stop()
        self.assertEqual(self.used_bits(service), len(starts))

    def test_live_ranges_of_another_level_count(self):
        service = self.instance(enforcement='none')
        one = self.keep(alloc(name='same'))
        service.stop()
        service.options = ['--enforcement=quarantine']
        service.start()
        start = one.start
        one.close()
        service.wait_empty()
        self.assertNotEqual(self.use(service), start)

    def test_state_is_durable_before_the_first_use(self):
        service = self.service()
        before = self.used_bits(service)
        one = self.keep(alloc())
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(service.state, 'used')).st_mode), 0o600)
        self.assertGreaterEqual(before, 64)
        self.assertTrue(self.is_used(service, (one.start - 524288) // 65536))

    def is_used(self, service, index):
        with open(os.path.join(service.state, 'used'), 'rb') as file:
            return bool(file.read()[16 + index // 8] & 1 << index % 8)

    def test_used_up(self):
        service = self.prepared(enforcement='quarantine')
        left = [7, 4711, CONTAINERS - 1]
        self.write_used(service, used_file(left, [SINGLES - 1]))
        service.start()
        with Conn() as connection:
            found = [alloc(conn=connection) for _ in left]
            self.assertEqual(sorted(one.start for one in found), [524288 + 65536 * index for index in left])
            eq(try_allocate(connection, name='more').ident(), 'NoDynamicRange', 'when used up')
            found.append(alloc(conn=connection, size=1))
            eq(found[-1].start, 65519, 'the last single id')
            eq(try_allocate(connection, name='more', size=1).ident(), 'NoDynamicRange', 'when used up')
            for one in found:
                one.close()
            service.wait_empty()
            eq(try_allocate(connection, name='more').ident(), 'NoDynamicRange', 'after release of all')
        self.assertIn('reclaim', service.text())

    def check_refused(self, content, mode=0o600):
        service = self.prepared(enforcement='quarantine')
        self.write_used(service, content, mode)
        said = service.refuses_to_start()
        self.assertIn('used', said)
        with open(os.path.join(service.state, 'used'), 'rb') as file:
            self.assertEqual(file.read(), content, 'the broken file was changed')
        self.assertEqual(service.leftovers(), [])

    def test_broken_state(self):
        good = used_file([1])
        for content in (b'', good[:-1], good + b'x', b'x' + good[1:], b'nsrbits\x02' + good[8:], bytes(len(good)),
                        MAGIC + b'\1' + good[9:]):
            with self.subTest(content[:16]):
                self.check_refused(content)

    def test_state_that_others_may_write(self):
        self.check_refused(used_file([1]), 0o666)

    def test_state_that_is_no_file(self):
        for make in (os.mkdir, os.mkfifo, lambda path: os.symlink('/dev/null', path)):
            service = self.prepared(enforcement='quarantine')
            make(os.path.join(service.state, 'used'))
            self.assertIn('used', service.refuses_to_start())

    def test_broken_fresh_file(self):
        """It lies on a tmpfs, and says only which ranges are ready: it is begun anew, but no range may come twice."""
        service = self.service()
        starts = [self.use(service)]
        service.kill()
        with open(os.path.join(service.run, 'nsresource/fresh'), 'r+b') as file:
            file.truncate(100)
        service.may_stay = ('nsresource/fresh.damaged',)
        service.start()
        self.assertIn('fresh.damaged', service.text())
        self.assertEqual(os.stat(os.path.join(service.run, 'nsresource/fresh.damaged')).st_size, 100)
        starts += [self.use(service) for _ in range(5)]
        self.assertEqual(len(set(starts)), 6)


class Recycling(DaemonTest):
    def test_level_none_uses_ranges_again(self):
        service = self.instance(enforcement='none')
        starts = set()
        for _ in range(5):
            one = alloc(name='same')
            starts.add(one.start)
            one.close()
            service.wait_empty()
            self.assertEqual(user_by_uid(one.start).ident(), 'NoRecordFound')
        self.assertEqual(len(starts), 1)


if __name__ == '__main__':
    harness.main()
