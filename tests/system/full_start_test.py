#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service is started while there is no room in its runtime directory, or fails at its start for another reason: it
serves, or ends with an error that says why, and leaves nothing that the next start has to work around."""
import os, shutil, subprocess, tempfile

import harness
from harness import DaemonTest, alloc, wait_until
from nslib import Conn
from start_test import listening

PAGE = 4096
# Pages that are left, from none to more than enough: the table of users takes about a hundred.
LEFT = (*range(8), *range(8, 96, 16), *range(96, 140, 3))


class SmallRuntime(DaemonTest):
    """An instance whose runtime directory is a file system of its own."""

    def small(self, **settings):
        directory = tempfile.mkdtemp(prefix='nsr-full.', dir='/dev/shm')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=755', 'nsr-test', directory], check=True)
        # After the end of the instance, which is another clean-up.
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(subprocess.run, ['umount', '-l', directory], check=True)
        service = self.prepared(**settings)
        service.run = directory
        service.socket = os.path.join(directory, harness.SOCKET)
        service.registry = os.path.join(directory, 'nsresource/registry')
        service.may_stay = ('filler',)
        return service

    def fill(self, service, left):
        """All pages but so many."""
        path = os.path.join(service.run, 'filler')
        with open(path, 'ab', buffering=0) as file:
            free = os.statvfs(service.run).f_bfree
            if free > left:
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, (free - left) * PAGE)

    def make_room(self, service):
        os.unlink(os.path.join(service.run, 'filler'))

    def starts(self, service):
        """Whether it does; if not, it says why."""
        service.launch()
        wait_until(lambda: 'READY=1' in service.take_notes() or harness.state_of(service.pid) in (None, 'Z'), 'start')
        if 'READY=1' in service.notes:
            return True
        self.assertEqual(service.wait(), 1, 'exit status:\n' + service.text())
        self.assertIn('No space left on device', service.text().split('\n')[-2])
        return False


class FullAtStart(SmallRuntime):
    def check_served(self):
        with Conn() as connection:
            connection.works()

    def check(self, level):
        for left in LEFT:
            service = self.small(enforcement=level)
            self.fill(service, left)
            started = self.starts(service)
            if started:
                self.check_served()
                service.stop()
            else:
                # An empty directory or lock costs no page.
                self.assertEqual([name for name in service.files('.') if not self.is_whole(service, name)], [])
            self.make_room(service)
            service.start()
            self.keep(alloc()).close()
            service.wait_empty()
            service.stop()
            if started:
                return
        self.fail('it never started')

    def is_whole(self, service, name):
        """Whether a file is one that may stay: no temporary one, and none that is cut off."""
        path = os.path.join(service.run, 'nsresource', name)
        if name.startswith('fresh.') or name.endswith('.new'):
            return False
        return name not in ('taken', 'users', 'fresh') or os.path.getsize(path) > 0

    def test_first_start(self):
        self.check('none')

    def test_first_start_at_quarantine(self):
        self.check('quarantine')

    def test_files_with_holes(self):
        """As after a crash of a host whose runtime directory is on a disk, or after a copy."""
        for name in ('taken', 'users'):
            service = self.small()
            service.start()
            service.stop()
            path = os.path.join(service.run, 'nsresource', name)
            size = os.path.getsize(path)
            os.truncate(path, 0)
            self.fill(service, 0)
            os.truncate(path, size)
            self.assertFalse(self.starts(service), name)
            self.assertIn(name, service.text())
            self.make_room(service)
            service.start()
            self.keep(alloc()).close()
            service.wait_empty()


class FailedStart(DaemonTest):
    def test_kernel_programs_go(self):
        """Another service has the socket's place, which is found out only after they are attached."""
        service = self.prepared(enforcement=None)
        with listening(service.socket):
            self.assertIn('another service answers', service.refuses_to_start())
            self.assertIsNone(service.pins)
        os.unlink(service.socket)
        service.start()

    def test_kernel_programs_stay_for_a_registered_namespace(self):
        service = self.instance(enforcement=None)
        if not service.pins:
            self.skipTest('no programs can be attached on this kernel')
        one = self.keep(alloc())
        service.kill()
        before = service.pins.links()
        shutil.move(service.socket, service.socket + '.old')
        with listening(service.socket):
            service.refuses_to_start()
            self.assertEqual(service.pins.links(), before)
        os.unlink(service.socket)
        os.unlink(service.socket + '.old')
        service.start()
        one.close()
        service.wait_empty()

    def test_state_directory_without_room(self):
        service = self.prepared(enforcement='quarantine')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4k,mode=755', 'nsr-test', service.state], check=True)
        try:
            service.refuses_to_start()
            self.assertEqual([name for name in os.listdir(service.state) if '.' in name], [])
        finally:
            subprocess.run(['umount', '-l', service.state], check=True)
        service.start()


if __name__ == '__main__':
    harness.main()
