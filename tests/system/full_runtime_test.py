#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runtime directory is full for a while: a call is refused for that, and leaves nothing behind; with room again the
repair happens by itself, the same call succeeds, and a restart keeps what the living namespace has."""
import os, shutil, subprocess, sys, tempfile, time

import harness
from harness import DaemonTest, wait_until
from subjects import Allocation, AllocationBelow, ControlGroup, Registration, Veth, ask

MAX_FREE = 8
PAGE = 4096
# In seconds: for how long there is no room (the manager repairs every second or so), and for how long it is looked
# whether something stays as it is.
FULL, STAYS = 2, 2


class SmallRuntime(DaemonTest):
    """Instances whose runtime directory is a file system of its own."""

    def small(self, size, inodes):
        directory = tempfile.mkdtemp(prefix='nsr-small.', dir='/dev/shm')
        options = 'size=%s,nr_inodes=%d,mode=755' % (size, inodes)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'nsr-test', directory], check=True)
        # After the end of the instance, which is another clean-up.
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(subprocess.run, ['umount', '-l', directory], check=True)
        service = self.prepared()
        service.run = directory
        service.socket = os.path.join(directory, harness.SOCKET)
        service.registry = os.path.join(directory, 'nsresource/registry')
        return service.start()

    def filler(self, service, name=''):
        return os.path.join(service.run, 'filler', name)

    def fill_inodes(self, service, left):
        os.makedirs(self.filler(service), exist_ok=True)
        for number in range(os.statvfs(service.run).f_ffree - left):
            open(self.filler(service, 'f%d' % number), 'x').close()
        self.assertEqual(os.statvfs(service.run).f_ffree, left)

    def fill_pages(self, service, left):
        os.makedirs(self.filler(service), exist_ok=True)
        with open(self.filler(service, 'f'), 'wb', buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, (os.statvfs(service.run).f_bfree - left) * PAGE)
        self.assertEqual(os.statvfs(service.run).f_bfree, left)

    def make_room(self, service):
        shutil.rmtree(self.filler(service))


class FullRuntime(SmallRuntime):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.service = self.small('4m', 500)
        self.found = []

    def complain(self, why, problems):
        self.found += ['%s: %s' % (why, one) for one in problems]

    def subject(self, kind):
        one = kind(self.service)
        self.keep(one)
        self.open.callback(one.clear)
        return one

    def fail_once(self, kind, fill, left):
        """Gives the subject of a call that met a full file system, with what it was told."""
        subject, why = self.subject(kind), '%d left' % left
        self.service.quiet_workers()
        fill(self.service, left)
        told = ask(subject.call())
        # Whoever asks again meanwhile fares no better, but makes it no worse.
        again = ask(subject.call()) if told != 'ok' else None
        if told == 'ok':
            self.complain(why, subject.complaints(True))
        else:
            time.sleep(FULL)
        self.make_room(self.service)
        wait_until(lambda: not self.service.unfinished(), 'repair with %s' % why)
        if 'ok' not in (told, again):
            wait_until(lambda: not subject.complaints(False) or subject.is_done(), 'undo with ' + why)
            self.assertFalse(subject.is_done(), 'with %s: told %s, and done' % (why, told))
            self.complain(why + ', then', [] if ask(subject.call()) == 'ok' else ['the same call is refused'])
        self.complain(why + ', then', subject.complaints(True))
        return subject, told

    def look_for(self, subjects, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and all(one.is_done() for one in subjects):
            time.sleep(0.1)
        return [problem for one in subjects for problem in one.complaints(True)]

    def check(self, kind, fill):
        outcomes = [self.fail_once(kind, fill, left) for left in range(MAX_FREE)]
        subjects, told = [one[0] for one in outcomes], [one[1] for one in outcomes]
        print(kind.__name__, told, file=sys.stderr)
        self.complain('later', self.look_for(subjects, STAYS))
        self.assertEqual(self.service.stop(), 0)
        self.service.start()
        self.complain('after a restart', self.look_for(subjects, STAYS))
        for one in subjects:
            one.close()
        wait_until(lambda: not any(one.remains() for one in subjects) or self.found, 'end of all')
        self.assertEqual(self.found, [])

    def test_inodes_for_a_veth(self):
        self.check(Veth, self.fill_inodes)

    def test_pages_for_a_veth(self):
        self.check(Veth, self.fill_pages)

    def test_inodes_for_a_control_group(self):
        self.check(ControlGroup, self.fill_inodes)

    def test_pages_for_a_control_group(self):
        self.check(ControlGroup, self.fill_pages)

    def test_inodes_for_an_allocation(self):
        self.check(Allocation, self.fill_inodes)

    def test_pages_for_an_allocation(self):
        self.check(Allocation, self.fill_pages)

    def test_inodes_for_an_allocation_below(self):
        self.check(AllocationBelow, self.fill_inodes)

    def test_inodes_for_a_registration(self):
        self.check(Registration, self.fill_inodes)

    def test_releases_of_a_full_one(self):
        """What dies meanwhile is released when there is room, or before."""
        subjects = [self.subject(kind) for kind in (Allocation, Veth, ControlGroup)]
        for one in subjects:
            self.assertEqual(ask(one.call()), 'ok')
        self.fill_inodes(self.service, 0)
        for one in subjects:
            one.close()
        time.sleep(STAYS)
        self.make_room(self.service)
        wait_until(lambda: not any(one.remains() for one in subjects), 'release')


if __name__ == '__main__':
    harness.main()
