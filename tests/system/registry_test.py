#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry with broken files at start: the service starts, and serves everybody else."""
import json, os, shutil

import harness, journal
from harness import DaemonTest, alloc, namespace
from nslib import Conn, eq, maps, reg_load, try_allocate, user_by_uid


class Registry(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance(enforcement='quarantine')
        self.service.may_stay = ('nsresource/broken',)  # where the service puts what it cannot read
        self.good = self.keep(alloc(name='good'))

    def path(self, name):
        return os.path.join(self.service.registry, name)

    def restart_with(self, name, make):
        self.service.kill()
        make(self.path(name))
        self.service.start()

    def check_served(self):
        self.assertEqual(user_by_uid(self.good.start).params['record']['userName'], 'ns-good-0')
        eq(maps(self.good.fd)[0], self.good.um, 'uid_map')
        with Conn() as connection:
            eq(try_allocate(connection, name='good').ident(), 'NameExists', 'name of the good one')
            alloc(conn=connection).close()
            alloc(uid=1000).close()

    def remove(self, *names):
        """What a test has put there is not the service's to remove."""
        for name in names:
            path = self.path(name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif os.path.lexists(path):
                os.unlink(path)

    def write(self, text):
        def make(path):
            with open(path, 'w') as file:
                file.write(text)
        return make

    # Each name that the service gives to files, with an inode, start or owner that nobody has.
    NAMES = ('i4026539999.userns', 'nbroken.userns', 'u1879048191.userns', 'g1879048191.userns', 'u524288.delegate',
             'o1234.owns', 'other', '.hidden', 'i0.userns', 'i99999999999999999999.userns', 'u-1.userns')

    def check_all_names(self, make):
        for name in self.NAMES:
            with self.subTest(name):
                self.restart_with(name, make)
                self.check_served()
                self.remove(name)

    def test_fifo(self):
        self.check_all_names(os.mkfifo)

    def test_symbolic_link(self):
        secret = self.service.path('secret')
        self.write('secret')(secret)
        self.check_all_names(lambda path: os.symlink(secret, path))
        self.assertEqual(harness.read(secret), 'secret')

    def test_directory(self):
        self.check_all_names(os.mkdir)

    def test_garbage(self):
        self.check_all_names(self.write('\x00\xff{{{{"'))

    def test_empty(self):
        self.check_all_names(self.write(''))

    def test_deep(self):
        self.check_all_names(self.write('[' * 100000))

    def test_huge(self):
        def make(path):
            with open(path, 'w') as file:
                file.truncate(1 << 33)
        self.check_all_names(make)

    def test_record_of_another_inode(self):
        record = reg_load('i%d.userns' % self.good.inode)
        for changes in ({}, {'name': 'other'}, {'userns': 4026539998}, {'start': 2 ** 32}, {'size': 0}):
            with self.subTest(changes):
                self.restart_with('i4026539999.userns', self.write(json.dumps(dict(record, **changes))))
                self.check_served()
                self.remove('i4026539999.userns')

    def test_links_that_are_missing(self):
        record = self.path('i%d.userns' % self.good.inode)
        for name in ('ngood.userns', 'u%d.userns' % self.good.start, 'g%d.userns' % self.good.start, 'o0.owns'):
            with self.subTest(name):
                self.service.kill()
                self.remove(name)
                self.service.start()
                self.check_served()
                self.assertEqual(os.stat(record).st_nlink, 5)

    def test_entry_that_is_missing(self):
        self.restart_with('i%d.userns' % self.good.inode, os.unlink)
        self.check_served()
        self.assertEqual(os.stat(self.path('i%d.userns' % self.good.inode)).st_nlink, 5)

    def test_journal_garbage(self):
        path = os.path.join(self.service.run, 'nsresource/journal')
        for step, text in ((journal.RECORDING, '{'), (journal.MAPPING, ''), (journal.LINKING, 'x' * 5000),
                           (journal.DELEGATING, '{"owner":1}'), (4242, '{}')):
            with self.subTest(step=step):
                self.service.kill()
                journal.leave(path, 77, step, text)
                self.service.start()
                self.check_served()
                self.assertEqual(self.service.unfinished(), [])

    def test_a_journal_that_is_none(self):
        path = os.path.join(self.service.run, 'nsresource/journal')
        self.service.may_stay += ('nsresource/journal.old',)
        for content in (b'x', b'x' * 8192 + bytes(255 * 4096)):
            with self.subTest(size=len(content)):
                self.service.kill()
                os.unlink(path)
                with open(path, 'wb') as file:
                    file.write(content)
                self.service.start()
                self.check_served()

    def test_foreign_record_without_newer_fields(self):
        """As an older or another service has written it: no usernsId, no gid fields. Without the unique id nobody can
        tell when the namespace is dead, so that the record stays."""
        self.service.kill()
        old = self.keep(namespace())
        start = 524288 + 65536 * 100
        text = json.dumps({'owner': 0, 'name': 'old', 'userns': old.inode, 'size': 65536, 'start': start, 'target': 0})
        self.write(text)(self.path('i%d.userns' % old.inode))
        for name in ('nold.userns', 'u%d.userns' % start, 'g%d.userns' % start, 'o0.owns/i%d.userns' % old.inode):
            os.link(self.path('i%d.userns' % old.inode), self.path(name))
        self.service.start()
        self.assertEqual(user_by_uid(start + 5).params['record']['userName'], 'ns-old-5')
        self.assertEqual(harness.read(self.path('i%d.userns' % old.inode)), text)
        self.service.kill()
        marks = ('old.', str(start), str(old.inode))
        self.remove(*(name for name in self.service.files() if any(mark in name for mark in marks)))
        self.service.start()

    def test_registry_vanishes_while_it_runs(self):
        """Nobody should; but the service must not fall over it."""
        self.service.kill()
        self.good.close()
        shutil.rmtree(self.service.registry)
        self.service.start()
        alloc().close()


if __name__ == '__main__':
    harness.main()
