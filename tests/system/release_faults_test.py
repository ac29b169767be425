#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A release is failed, and a worker killed, at every system call. The record of a dead namespace is the last to go:
what it has listed is gone by then, or noted where it is tried again, and in the end all of it goes."""
import errno, glob, os, subprocess, sys, unittest

import harness
from faults import Rounds
from harness import DaemonTest, alloc, wait_until
from injector import SUPPORTED, Fault, fail, inject, kill
from nslib import CFD, CGROUP, NET, UFD
from nslib import Cgroup, Conn, link, reg_load
from system_calls import ERRNOS

class Rich:
    """A namespace that has a cgroup with a process of the host in it, an empty one, a link, and ranges to give."""

    def __init__(self, test, service):
        self.service = service
        self.one, self.idle, self.busy = alloc(delegateContainerRanges=1), Cgroup(), Cgroup()
        self.inode, self.start, self.delegated = self.one.inode, self.one.start, self.one.um[1][1]
        self.process = subprocess.Popen(['sleep', '1000'])
        test.open.callback(self.clear)
        with Conn() as connection:
            for cgroup in (self.idle, self.busy):
                connection.ok(CGROUP, {UFD: 0, CFD: 1}, [self.one.fd, cgroup.fd])
            # A tap is there for as long as the test has its descriptor, whether its namespace lives or not.
            reply = connection.call(NET, {UFD: 0, 'mode': 'tap'}, [self.one.fd])
            self.link, self.tap = reply.params['hostInterfaceName'], reply.fds[0]
        with open(self.busy.path + '/cgroup.procs', 'w') as file:
            file.write(str(self.process.pid))
        self.ids = {cgroup: os.fstat(cgroup.fd).st_ino for cgroup in (self.idle, self.busy)}

    def close(self):
        self.one.close()

    def is_recorded(self):
        """By its range, as it is called while it is set aside, too."""
        return os.path.exists(os.path.join(self.service.registry, 'u%d.userns' % self.start))

    def is_noted(self, cgroup):
        pattern = os.path.join(self.service.run, 'nsresource/cgroups/*/%d.*' % self.ids[cgroup])
        return bool(glob.glob(pattern))

    def owner(self, cgroup):
        try:
            return os.stat(cgroup.path).st_uid
        except FileNotFoundError:
            return None

    def complaints(self):
        """About a moment at which the record is gone."""
        found = []
        for cgroup in (self.idle, self.busy):
            owner = self.owner(cgroup)
            if owner is not None and not self.is_noted(cgroup) and not self.is_recorded_anywhere(cgroup):
                found.append('a cgroup of %d that is not noted' % owner)
            if owner == self.start:
                found.append('a cgroup that is owned by a free range')
        found += ['link'] if link(self.link) else []
        left = ['u%d.delegate' % self.delegated, 'g%d.delegate' % self.delegated, 'g%d.userns' % self.start]
        return found + [name for name in left if os.path.exists(os.path.join(self.service.registry, name))]

    def is_recorded_anywhere(self, cgroup):
        """In the record of one that is set aside."""
        for name in self.service.files():
            if name.startswith('i'):
                try:
                    if self.ids[cgroup] in reg_load(name).get('cgroups', []):
                        return True
                except FileNotFoundError:
                    pass
        return False

    def leave(self):
        """The process from outside goes."""
        self.process.kill()
        self.process.wait()

    def is_gone(self):
        return self.owner(self.busy) is None and self.owner(self.idle) is None

    def clear(self):
        self.leave()
        self.close()
        os.close(self.tap)
        for cgroup in (self.idle, self.busy):
            cgroup.remove()


@unittest.skipUnless(SUPPORTED, 'faults are injected on x86_64 only')
class ReleaseFaults(DaemonTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.found, self.all, self.hits = [], [], {}

    def release_once(self, fault):
        """One release with one fault in it. Gives the name of the call that was hit, None if there was none so late."""
        service, one = self.service, Rich(self, self.service)
        self.all.append(one)
        hit = inject(service.quiet_workers(), [fault], one.close, lambda: not one.is_recorded())
        # The moment that counts is when the record goes.
        wait_until(lambda: not one.is_recorded(), 'release after %s' % hit)
        wait_until(lambda: not service.unfinished(), 'repair')
        self.found += ['call %d, %s: %s' % (fault.count, hit, problem) for problem in one.complaints()]
        one.leave()  # or it would be tried again in all rounds that follow
        return hit[0] if hit else None

    def check_end(self):
        """The processes have left: all can be removed."""
        try:
            wait_until(lambda: all(one.is_gone() for one in self.all), 'removal')
        except AssertionError:
            self.found += ['round %d: cgroups of %s and %s stay' % (number, one.owner(one.idle), one.owner(one.busy))
                           for number, one in enumerate(self.all) if not one.is_gone()]
        print(len(self.all), 'releases, hit', self.hits, file=sys.stderr)
        self.assertEqual(self.found, [])

    def all_releases(self, do, only=()):
        """One after another, each with its fault one call later than the one before, until some come through."""
        rounds = Rounds()
        for count in rounds:
            hit = self.release_once(Fault(count, do, only))
            self.hits[hit] = self.hits.get(hit, 0) + 1
            rounds.note(hit)

    def test_worker_is_killed(self):
        self.all_releases(kill)
        self.check_end()
        self.assertGreater(len(self.all), 40)

    def check_failures(self, name):
        """Each call of this name fails, with each errno value that it may give when a machine gives out."""
        for code in ERRNOS[name]:
            self.all_releases(fail(getattr(errno, code)), only=[name])
        self.check_end()
        self.assertIn(name, self.hits)


CALLS = ('openat', 'openat2', 'newfstatat', 'open_by_handle_at', 'name_to_handle_at', 'flock', 'getdents64', 'read',
         'pread64', 'mkdirat', 'unlinkat', 'fchownat', 'socket', 'sendto', 'sendmsg')
# Each takes a minute; under continuous integration the torture has its share of all of them.
IN_CI = ('getdents64', 'mkdirat', 'fchownat')
for name in IN_CI if os.environ.get('CI') else CALLS:
    setattr(ReleaseFaults, 'test_%s_fails' % name, lambda self, name=name: self.check_failures(name))


if __name__ == '__main__':
    harness.main()
