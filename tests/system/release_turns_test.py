#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One user's namespaces die and leave work for many seconds: another user's are released all the same, and who takes back
a dead name of its own does not wait for the end of that work."""
import contextlib, os, sys, time

import harness
from harness import DaemonTest, alloc, wait_until
from nslib import CFD, CGROUP, UFD, Cgroup, Conn, attempt, eq, make_userns, run_in, try_allocate

LARGE = 24000
SELFS, EACH = 254, 16
BIG_USER, OTHER_USER = 1000, 1001
# In seconds, for the release of another user's namespace. On a quiet machine it takes less than one, as the bench shows.
BOUND = 3


class ReleaseTurns(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance()

    def cgroup(self, uid):
        made = Cgroup(uid)
        self.open.callback(made.remove)
        return made

    def delegate(self, connection, one, cgroup):
        connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])

    def make_tree(self, uid, count):
        """A namespace of the uid, and a cgroup with so many below it, all of which have ids of its range."""
        one, cgroup = self.keep(alloc(uid=uid)), self.cgroup(uid)
        with Conn(uid) as connection:
            self.delegate(connection, one, cgroup)

        def body():
            # A thousand each: who looks for one in a directory meets few others.
            for number in range(count):
                if number % 1000 == 0:
                    above = cgroup.path + '/d%d' % (number // 1000)
                    os.mkdir(above)
                else:
                    os.mkdir(above + '/x%d' % number)
            return 'ok'
        eq(run_in(body, one.fd, timeout=120), 'ok', 'mkdir inside')
        return one, cgroup

    def has(self, name):
        return os.path.exists(os.path.join(self.service.registry, name))

    def is_registered(self, one):
        return self.has('i%d.userns' % one.inode)

    def has_range(self, one):
        """As long as the release takes: inode number and name may be others' by then."""
        return self.has('u%d.userns' % one.start)

    def release_another(self, number):
        """How long it takes from the death to the release."""
        one = alloc(uid=OTHER_USER, size=1, name='o%d' % number)
        one.close()
        begin = time.monotonic()
        wait_until(lambda: not self.is_registered(one), 'release of another user\'s')
        return time.monotonic() - begin

    def check_others(self, is_at_work):
        """While the work lasts."""
        times = []
        while is_at_work() or not times:
            times.append(self.release_another(len(times)))
        print('released in', ' '.join('%.2f' % took for took in times), file=sys.stderr)
        self.assertLess(max(times), BOUND)
        return len(times)

    def test_large_tree(self):
        one, _ = self.make_tree(BIG_USER, LARGE)
        one.close()
        count = self.check_others(lambda: self.has_range(one))
        self.assertGreater(count, 2, 'the work was over too early')

    def test_many_with_cgroups_of_one_user(self):
        selfs = []
        with Conn(BIG_USER) as connection:
            for number in range(SELFS):
                fd = make_userns(BIG_USER)
                name = 's%d' % number
                eq(try_allocate(connection, fd=fd, size=1, type='self', name=name).ident(), 'ok', 'self')
                selfs.append(self.keep(harness.Namespace(fd)))
                for _ in range(EACH):
                    self.delegate(connection, selfs[-1], self.cgroup(BIG_USER))
        for one in selfs:
            one.close()
        self.check_others(lambda: any(map(self.is_registered, selfs)))

    def is_taken_back(self, connection, fd):
        # The kernel frees a namespace a moment after its last descriptor is closed.
        return try_allocate(connection, fd=fd, size=1, name='again').ident() == 'ok'

    def test_own_dead_name(self):
        one, _ = self.make_tree(BIG_USER, LARGE)
        one.close()
        times = []
        with Conn(OTHER_USER) as connection:
            while self.has_range(one):
                fd = make_userns(OTHER_USER)
                begin = time.monotonic()
                wait_until(lambda: self.is_taken_back(connection, fd), 'own dead name')
                times.append(time.monotonic() - begin)
                os.close(fd)
        print('taken back in', ' '.join('%.3f' % took for took in times), file=sys.stderr)
        self.assertLess(max(times), BOUND)
        self.assertGreater(len(times), 2, 'the work was over too early')

    def test_names_and_inode_numbers_at_once(self):
        """Those of the one whose release takes long are of use to others: the next namespace gets the number."""
        one, _ = self.make_tree(BIG_USER, LARGE)
        number = one.inode
        one.close()
        for _ in range(200):
            fd = make_userns(OTHER_USER)
            again = self.keep(harness.Namespace(fd))
            if again.inode == number:
                break
            time.sleep(0.01)
        self.assertEqual(again.inode, number, 'the number is not used again')
        with Conn(OTHER_USER) as connection:
            eq(try_allocate(connection, fd=fd, size=1, name='next').ident(), 'ok', 'with the inode number')
        with Conn(BIG_USER) as connection:
            eq(try_allocate(connection, uid=BIG_USER, name=one.name.split('-', 1)[1]).ident(), 'ok', 'with the name')
        self.assertTrue(self.has_range(one), 'the work was over too early')

    def test_what_is_left_to_be_removed(self):
        one, large = self.make_tree(BIG_USER, LARGE)
        other, small = self.make_tree(OTHER_USER, 300)
        one.close()
        other.close()
        wait_until(lambda: not os.path.exists(small.path), 'cgroups of another user removed')
        self.assertTrue(os.path.exists(large.path), 'the work was over too early')
        wait_until(lambda: not os.path.exists(large.path), 'cgroups removed', 120)
        wait_until(lambda: not self.service.files('cgroups') and not self.service.files('walks'), 'no notes', 30)

    def test_a_worker_that_dies_in_the_middle(self):
        one, cgroup = self.make_tree(BIG_USER, 5000)
        one.close()
        walks = os.path.join(self.service.run, 'nsresource/walks')
        killed = 0
        while self.has_range(one):
            if attempt(os.listdir, walks) and killed < 3:
                for pid in self.service.workers():
                    os.kill(pid, 9)
                killed += 1
                self.service.idle_workers()
        self.assertGreater(killed, 0)
        found = []
        for path, _, _ in os.walk(cgroup.path):
            with contextlib.suppress(FileNotFoundError):  # it is just being removed
                found += [path] if os.stat(path).st_uid != 0 else []
        self.assertEqual(found, [], 'with ids of a range that is free')
        wait_until(lambda: not os.path.exists(cgroup.path), 'cgroups removed', 120)


if __name__ == '__main__':
    harness.main()
