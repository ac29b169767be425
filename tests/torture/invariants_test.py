#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checker of invariants complains about what is wrong, and about nothing else."""
import contextlib, json, os, struct, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'system'))
import harness  # noqa: E402
import invariants  # noqa: E402
from harness import DaemonTest, alloc, nslib  # noqa: E402
from nslib import MFD, MOUNT, UFD, Conn  # noqa: E402


class Damage(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.service.quiet_workers()
        self.quiet = invariants.Quiet(self.service.pid)
        self.one = self.keep(alloc(delegateContainerRanges=1))

    def complaints(self, **more):
        more = dict(dict(registered=[self.one], quiet=self.quiet, slack=-invariants.RELEASE_SECONDS), **more)
        return '\n'.join(invariants.check(self.service.run, self.service.pid, **more))

    def path(self, name):
        return os.path.join(self.service.registry, name)

    @contextlib.contextmanager
    def file(self, path, content=b'{}'):
        with open(path, 'wb') as file:
            file.write(content)
        yield
        os.unlink(path)

    @contextlib.contextmanager
    def without(self, name):
        os.rename(self.path(name), self.service.path('away'))
        yield
        os.rename(self.service.path('away'), self.path(name))

    def test_nothing(self):
        self.assertEqual(self.complaints(slack=invariants.SLACK_SECONDS), '')

    def test_missing_name(self):
        start = self.one.start
        delegate = self.one.um[1][1]
        for name in ('n%s.userns' % self.one.name, 'u%d.userns' % start, 'g%d.userns' % start,
                     'o0.owns/i%d.userns' % self.one.inode, 'u%d.delegate' % delegate, 'g%d.delegate' % delegate):
            with self.without(name):
                self.assertIn('lacks %s' % name, self.complaints())

    def test_missing_record(self):
        with self.without('i%d.userns' % self.one.inode):
            self.assertIn('but has no record', self.complaints())

    def test_other_content(self):
        entry = self.path('i%d.userns' % self.one.inode)
        with open(entry) as file:
            record = json.load(file)
        with self.without('i%d.userns' % self.one.inode):
            with self.file(entry, json.dumps(dict(record, start=record['start'] + 65536)).encode()):
                self.assertIn('its record has', self.complaints())

    def test_dead_namespace(self):
        self.assertIn('its namespace is dead', self.complaints(registered=[]))

    def test_range_of_two(self):
        with open(self.path('i%d.userns' % self.one.inode)) as file:
            record = json.load(file)
        with self.file(self.path('i4294967290.userns'), json.dumps(dict(record, userns=4294967290)).encode()):
            self.assertIn('are of both', self.complaints(may_live=[4294967290]))

    def test_stray_file(self):
        with self.file(self.path('u1.userns')):
            self.assertIn('stray file u1.userns', self.complaints())

    def test_unfinished_call(self):
        with open(os.path.join(self.service.run, 'nsresource/journal'), 'r+b') as file:
            self.write_state(file, 1)
            try:
                self.assertIn('slots in use: [255]', self.complaints())
            finally:
                self.write_state(file, 0)

    def write_state(self, file, state):
        """Of the last slot, which no worker has."""
        file.seek((invariants.JOURNAL_SLOTS - 1) * invariants.JOURNAL_ENTRY)
        file.write(struct.pack('<I', state))
        file.flush()

    def test_note(self):
        directory = os.path.join(self.service.run, 'nsresource/cgroups/0')
        os.makedirs(directory)
        with self.file(os.path.join(directory, '1.2')):
            self.assertIn('there is cgroups/0/1.2', self.complaints())
        os.rmdir(directory)

    def test_descriptor(self):
        mount = nslib.fsmount_tmpfs()
        with Conn() as connection:
            connection.ok(MOUNT, {UFD: 0, MFD: 1}, [self.one.fd, mount])
        os.close(mount)
        self.assertIn('the manager has more descriptors', self.complaints())

    def test_control_group(self):
        path = os.path.join(nslib.cgroup_root(), 'nsr-invariants-' + nslib.uniq())
        os.mkdir(path)
        try:
            self.assertEqual(self.complaints(cgroups=[path]), '')
            os.chown(path, self.one.start, self.one.start)
            self.assertIn('is in no record, but belongs to', self.complaints(cgroups=[path]))
        finally:
            os.rmdir(path)

    def test_answer(self):
        self.assertIn('is mapped', '\n'.join(invariants.undone_problems(self.service.run, self.one, 'an error')))


if __name__ == '__main__':
    harness.main()
