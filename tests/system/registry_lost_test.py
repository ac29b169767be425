#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An administrator, or a program that cleans up, empties, moves or replaces the registry beneath the running service.
It says so, gives no range that is in use to anybody else, and works again by itself; the same after its restart."""
import os, shutil, signal

import harness
from harness import DaemonTest, alloc, namespace, wait_until
from nslib import ALLOC, Closed, Conn, UFD, maps
from subjects import answer

LIVING = 6


def emptied(registry):
    for name in os.listdir(registry):
        path = os.path.join(registry, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def moved_away(registry):
    os.rename(registry, registry + '.away')


def replaced(registry):
    os.rename(registry, registry + '.away')
    os.mkdir(registry, 0o755)


def removed(registry):
    shutil.rmtree(registry)


def lock_removed(registry):
    """By who takes it for a stale one."""
    os.unlink(os.path.join(registry, 'lock'))


class RegistryLost(DaemonTest):
    def check(self, level, lose):
        self.service = self.instance(enforcement=level)
        # What the service keeps beside the registry from now on, and what the test has moved.
        self.service.may_stay = ('nsresource/',)
        living = [self.keep(alloc(name='n%d' % number, delegateContainerRanges=number % 2)) for number in range(LIVING)]
        self.taken = {start: one.name for one in living for _, start, _ in one.um}
        told_before = len(self.service.text())
        lose(self.service.registry)
        self.allocate_all('right after it')
        wait_until(lambda: 'registry' in self.service.text()[told_before:], 'a word in the log')
        wait_until(lambda: self.allocate('again') == 'ok', 'recovery')
        self.allocate_all('after the recovery', must_work=True)
        self.check_is_whole()
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.restart(how)
            self.allocate_all('after a restart', must_work=True)
            self.check_is_whole()

    def restart(self, how):
        if how == signal.SIGTERM:
            self.assertEqual(self.service.stop(), 0)
        else:
            self.service.kill()
        self.service.start()

    def allocate(self, name):
        """For a namespace that lives on; its ranges must be nobody's."""
        one = self.keep(namespace())
        call = ALLOC, {'name': name, 'size': 65536, UFD: 0, 'delegateContainerRanges': 1}, [one.fd]
        with Conn() as connection:
            try:
                connection.send(*call)
                told = answer(connection)
            except Closed:
                told = 'closed'
        uids, gids = maps(one.fd)
        if told not in ('ok', 'closed'):
            self.assertEqual((uids, gids), ([], []), 'told %s, and mapped' % told)
        for _, start, _ in uids:
            self.assertNotIn(start, self.taken, 'a range that is in use is given to %s' % name)
            self.taken[start] = name
        if not uids:
            one.close()
        return told

    def allocate_all(self, when, must_work=False):
        """Under the names of the living ones, which are the first to lead to their ranges, and under others."""
        self.number = getattr(self, 'number', 0) + 1
        names = ['n%d' % number for number in range(LIVING)] + ['x%d-%d' % (self.number, one) for one in range(3)]
        told = {name: self.allocate(name) for name in names}
        if must_work:
            # Whose name is in the registry by now is refused for that.
            refused = {name: one for name, one in told.items() if one not in ('ok', 'NameExists')}
            self.assertEqual(refused, {}, when)
            self.assertIn('ok', told.values(), when)

    def check_is_whole(self):
        """What is given from now on is recorded where others look for it, and goes with its namespace."""
        one = alloc(name='whole')
        entry = os.path.join(self.service.registry, 'i%d.userns' % one.inode)
        self.assertTrue(os.path.exists(entry))
        self.assertTrue(os.path.exists(os.path.join(self.service.registry, 'lock')))
        self.assertNotIn(one.start, self.taken)
        one.close()
        wait_until(lambda: not os.path.exists(os.path.join(self.service.registry, 'nwhole.userns')), 'release')


def add_tests():
    for level in ('none', 'quarantine'):
        for lose in (emptied, moved_away, replaced, removed, lock_removed):
            setattr(RegistryLost, 'test_%s_at_%s' % (lose.__name__, level),
                    lambda self, level=level, lose=lose: self.check(level, lose))


add_tests()


class MovedBack(DaemonTest):
    def test_moved_back_at_once(self):
        """Before anybody has looked: nothing has happened."""
        service = self.instance()
        one = self.keep(alloc(name='stays'))
        moved_away(service.registry)
        os.rename(service.registry + '.away', service.registry)
        other = alloc(name='other')
        self.assertNotEqual(one.start, other.start)
        self.assertIn('nstays.userns', service.files())
        other.close()


if __name__ == '__main__':
    harness.main()
