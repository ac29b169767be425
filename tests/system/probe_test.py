#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel says of namespaces that live what it says of dead ones, as it does for most errors of open_by_handle_at(2):
none is taken for dead, and when the errors are over, those that really die are released."""
import contextlib, json, os, signal

import harness, interceptor, journal
from harness import DaemonTest, alloc, namespace, read, wait_until
from nslib import NS_GET_ID, Conn, eq, ioctl_u64, maps, try_allocate

SWEEPS = 5


class Probe(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.prepared()
        self.trouble, self.notes = self.service.path('trouble'), self.service.path('notes')
        own = os.open('/proc/self/ns/user', os.O_RDONLY)
        with contextlib.closing(os.fdopen(own)):
            try:
                self.own = ioctl_u64(own, NS_GET_ID)
            except OSError:
                self.skipTest('this kernel has no ids of namespaces (6.18 and newer have)')

    def start(self):
        kernel = interceptor.that_loses_namespaces(self.trouble, self.notes, self.own)
        self.addCleanup(kernel.close)
        self.service.prepare = kernel.prepare
        self.service.start()

    def begin_trouble(self):
        open(self.trouble, 'w').close()
        open(self.notes, 'w').close()

    def wait_for_sweeps(self):
        wait_until(lambda: os.path.getsize(self.notes) >= SWEEPS, 'probes')

    def check_all_there(self, kept):
        names = self.service.files()
        for one in kept:
            self.assertIn('i%d.userns' % one.inode, names)

    def check_deaths_are_seen(self, kept):
        """One after the other, so that each one that lives on is looked at many times."""
        for at, one in enumerate(kept):
            one.close()
            wait_until(lambda: 'i%d.userns' % one.inode not in self.service.files(), 'release')
            self.check_all_there(kept[at + 1:])
        self.service.wait_empty()

    def test_living_ones_outlast_it(self):
        self.start()
        kept = [self.keep(alloc(size=1)) for _ in range(3)]
        self.begin_trouble()
        self.wait_for_sweeps()
        self.check_all_there(kept)
        with Conn() as connection:
            eq(try_allocate(connection, name=kept[0].name).ident(), 'NameExists', 'a name in use')
        self.check_all_there(kept)
        os.unlink(self.trouble)
        self.check_deaths_are_seen(kept)
        log = self.service.text()
        self.assertEqual(log.count('cannot tell at present which user namespaces are dead'), 1, log)
        self.assertEqual(log.count('can tell again which user namespaces are dead'), 1, log)

    def test_a_start_in_the_middle_of_it(self):
        self.start()
        kept = [self.keep(alloc(size=1)) for _ in range(3)]
        self.service.stop()
        self.begin_trouble()
        self.start()
        self.wait_for_sweeps()
        self.check_all_there(kept)
        os.unlink(self.trouble)
        self.check_deaths_are_seen(kept)

    def test_repair_in_the_middle_of_it(self):
        """A worker that dies with the maps written leaves a registration that must stay."""
        self.start()
        target = self.keep(namespace())
        with Conn() as connection:
            eq(try_allocate(connection, fd=target.fd, name='half').ident(), 'ok', 'allocation')
        worker = self.service.idle_workers()[0]
        record = os.path.join(self.service.registry, 'i%d.userns' % target.inode)
        journal.leave(os.path.join(self.service.run, 'nsresource/journal'), 100, journal.MAPPING,
                      json.loads(read(record)))
        self.begin_trouble()
        os.kill(worker, signal.SIGKILL)
        # Whether there are maps cannot be told as long as it lasts.
        self.wait_for_sweeps()
        self.assertEqual([step for _, step in self.service.unfinished()], [journal.MAPPING])
        self.check_all_there([target])
        self.assertEqual(len(maps(target.fd)[0]), 1)
        self.assertEqual(read(record).count('half'), 1)
        os.unlink(self.trouble)
        wait_until(lambda: not self.service.unfinished(), 'repair')
        self.check_all_there([target])
        self.check_deaths_are_seen([target])


if __name__ == '__main__':
    harness.main()
