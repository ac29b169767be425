#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same name twice in a row: a namespace dies some moments after its last descriptor is closed, and is released some
moments later. Who takes the name again at once is not refused for that, and who meets a living holder soon knows."""
import os, time

import harness
from harness import PATIENCE, DaemonTest, alloc
from nslib import ALLOC, REGISTER, UFD, Conn, make_userns, try_allocate
from incumbent import Living
from subjects import ask

TIMES = 20
# In seconds: a name that is found taken is asked for again for 0.25; the rest is for a machine that is busy.
WAITS, SLACK = 0.25, PATIENCE / 24


class SameName(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.service.quiet_workers()

    def take(self, connection, uid=0, **settings):
        """Allocates for a namespace that is closed at once; gives the outcome."""
        fd = make_userns(uid)
        try:
            return try_allocate(connection, fd=fd, uid=uid, name='again', **settings).ident()
        finally:
            os.close(fd)

    def check_never_refused(self, uid=0, **settings):
        with Conn(uid) as connection:
            outcomes = [self.take(connection, uid, **settings) for _ in range(TIMES)]
        self.assertEqual(outcomes, ['ok'] * TIMES)

    def test_allocation(self):
        self.check_never_refused()

    def test_allocation_of_a_single_id(self):
        self.check_never_refused(size=1)

    def test_allocation_with_delegations(self):
        self.check_never_refused(delegateContainerRanges=3)

    def test_allocation_of_a_user(self):
        self.check_never_refused(uid=1000)

    def test_own_ids(self):
        self.check_never_refused(uid=1000, size=1, type='self')

    def test_each_on_a_connection_of_its_own(self):
        outcomes = []
        for _ in range(TIMES):
            with Conn() as connection:
                outcomes.append(self.take(connection))
        self.assertEqual(outcomes, ['ok'] * TIMES)

    def test_registration(self):
        outcomes = []
        for _ in range(TIMES):
            one = Living([(0, 0, 1)])
            outcomes.append(ask((REGISTER, {'name': 'again', UFD: 0}, [one.fd])))
            one.close()
        self.assertEqual(outcomes, ['ok'] * TIMES)

    def test_living_holder(self):
        holder = self.keep(alloc(name='again'))
        for settings in ({}, {'size': 1}):
            with Conn() as connection:
                fd = make_userns(0)
                self.open.callback(os.close, fd)
                begin = time.monotonic()
                outcome = try_allocate(connection, fd=fd, name=holder.name, **settings).ident()
                took = time.monotonic() - begin
            self.assertEqual(outcome, 'NameExists')
            self.assertLess(took, WAITS + SLACK)

    def test_others_while_it_waits(self):
        """Who asks for the name of a living one keeps a worker, and nobody else, waiting."""
        holder = self.keep(alloc(name='again'))
        with Conn() as waiting, Conn(1000) as other:
            fd = make_userns(0)
            self.open.callback(os.close, fd)
            waiting.send(ALLOC, {'name': 'again', 'size': 1, UFD: 0}, [fd])
            self.assertEqual(try_allocate(other, uid=1000).ident(), 'ok')
            self.assertEqual(waiting.recv().ident(), 'NameExists')
        self.assertEqual(harness.read('%s/n%s.userns' % (self.service.registry, holder.name)).count('again'), 1)


if __name__ == '__main__':
    harness.main()
