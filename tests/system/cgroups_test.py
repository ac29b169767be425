#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cgroups that outlive the namespace that made them: by the time its range is free, none of its ids owns any of them."""
import os, subprocess

import harness
from harness import DaemonTest, alloc, wait_until
from nslib import CFD, CGROUP, UFD, Cgroup, Conn, attempt, eq, run_in

SIZE = 65536


class Cgroups(DaemonTest):
    def cgroup(self):
        made = Cgroup()
        self.open.callback(made.remove)
        return made

    def busy(self, count):
        """So many processes of the host."""
        ones = [subprocess.Popen(['sleep', '1000']) for _ in range(count)]
        for one in ones:
            self.open.callback(one.wait)
            self.open.callback(one.kill)
        return ones

    def delegate(self, one, cgroup):
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])

    def make(self, one, *paths, uid=0):
        def body():
            return [attempt(os.mkdir, path) for path in paths]
        eq(run_in(body, one.fd, uid=uid, timeout=60), ['ok'] * len(paths), 'mkdir inside')

    def release(self, service, one):
        """Ends the namespace, and looks as soon as its record is gone."""
        name = 'i%d.userns' % one.inode
        one.close()
        wait_until(lambda: name not in service.files(), 'release', 60)

    def end_all(self, cgroup, processes):
        """What was busy is removed when it is no longer."""
        for process in processes:
            process.kill()
            process.wait()
        wait_until(lambda: not os.path.exists(cgroup.path), 'cgroups removed', 30)

    def owned(self, cgroup, start):
        """What has an id of the range, directories and files."""
        found = []
        for directory, _, files in os.walk(cgroup.path):
            for path in [directory] + [os.path.join(directory, name) for name in files]:
                try:
                    status = os.stat(path)
                except OSError:  # removed meanwhile
                    continue
                if any(start <= number < start + SIZE for number in (status.st_uid, status.st_gid)):
                    found.append(path)
        return found

    def test_many_busy_ones(self):
        service, cgroup, processes = self.instance(), self.cgroup(), self.busy(100)
        one = self.keep(alloc())
        self.delegate(one, cgroup)
        paths = [cgroup.path + '/x%d' % number for number in range(len(processes))]
        self.make(one, *paths)
        for path, process in zip(paths, processes):
            with open(path + '/cgroup.procs', 'w') as file:
                file.write(str(process.pid))
        self.assertGreater(len(self.owned(cgroup, one.start)), len(paths))
        start = one.start
        self.release(service, one)
        self.assertTrue(all(os.path.exists(path) for path in paths))
        self.assertEqual(self.owned(cgroup, start), [])
        self.end_all(cgroup, processes)

    def test_thousands(self):
        service, cgroup = self.instance(), self.cgroup()
        one = self.keep(alloc())
        self.delegate(one, cgroup)
        self.make(one, *(cgroup.path + '/x%d' % number for number in range(3000)))
        start = one.start
        self.release(service, one)
        self.assertEqual(self.owned(cgroup, start), [])
        wait_until(lambda: not os.path.exists(cgroup.path), 'cgroups removed', 30)

    def test_one_that_is_another_namespaces_by_now(self):
        service, cgroup = self.instance(), self.cgroup()
        first, second = self.keep(alloc()), self.keep(alloc())
        self.delegate(first, cgroup)
        self.make(first, cgroup.path + '/own')
        self.delegate(second, cgroup)
        self.make(first, cgroup.path + '/own/deep')
        self.make(second, cgroup.path + '/second')
        start, others = first.start, set(self.owned(cgroup, second.start))
        self.assertIn(cgroup.path + '/own', self.owned(cgroup, start))
        self.release(service, first)
        self.assertEqual(self.owned(cgroup, start), [])
        self.assertEqual(set(self.owned(cgroup, second.start)), others, 'those of the second one')
        self.release(service, second)
        wait_until(lambda: not os.path.exists(cgroup.path), 'cgroups removed', 30)

    def test_of_a_delegated_range(self):
        service, cgroup, (process,) = self.instance(), self.cgroup(), self.busy(1)
        one = self.keep(alloc(delegateContainerRanges=1))
        inside, delegated, _ = one.um[1]
        self.delegate(one, cgroup)
        self.make(one, cgroup.path + '/a')

        def hand_on():
            os.chown(cgroup.path + '/a', inside + 5, inside + 6)
            os.chown(cgroup.path + '/a/cgroup.procs', inside + 5, inside + 6)
        run_in(hand_on, one.fd)
        with open(cgroup.path + '/a/cgroup.procs', 'w') as file:
            file.write(str(process.pid))
        self.assertEqual(len(self.owned(cgroup, delegated)), 2)
        start = one.start
        self.release(service, one)
        self.assertEqual(self.owned(cgroup, delegated) + self.owned(cgroup, start), [])
        self.end_all(cgroup, [process])


if __name__ == '__main__':
    harness.main()
