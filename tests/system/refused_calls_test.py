#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each system call of each method fails. An error that the client is told means that nothing was done, also if the undo
meets a fault of its own; what was told to be done is done, and is watched until its namespace's death."""
import errno, select, sys, unittest

import harness
from faults import Rounds
from harness import PATIENCE, DaemonTest, wait_until
from injector import SUPPORTED, Fault, fail, inject
from nslib import Conn
from subjects import Allocation, AllocationBelow, ControlGroup, Registration, Veth, answer, ask
from system_calls import ERRNOS

# In seconds: what an undo could not take back is taken back by a repair, within two on a quiet machine.
REPAIR = PATIENCE / 15


def has_answer(connection):
    return select.select([connection.s], [], [], 0)[0]


@unittest.skipUnless(SUPPORTED, 'faults are injected on x86_64 only')
class RefusedCalls(DaemonTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.found, self.seen, self.all, self.count = [], {}, [], 0

    def subject(self, make):
        one = make(self.service)
        self.keep(one)
        self.open.callback(one.clear)
        self.all.append(one)
        self.count += 1
        return one

    def call_with(self, subject, faults, children):
        """Gives what the client was told, and the names of the calls that were hit."""
        with Conn() as connection:
            hit = inject(self.service.quiet_workers(), faults, lambda: connection.send(*subject.call()),
                         lambda: has_answer(connection), children)
            told = answer(connection)
        self.seen[told] = self.seen.get(told, 0) + 1
        return told, hit

    def check(self, subject, told, why):
        """Right after the answer, and after the repair if a worker died over it."""
        if told == 'closed':
            wait_until(lambda: not self.service.unfinished(), 'repair')
            # It may be done, or taken back, but nothing in between.
            problems = subject.complaints(False) and subject.complaints(True)
        else:
            problems = subject.complaints(told == 'ok')
        self.found += ['%s, told %s: %s' % (why, told, problem) for problem in problems]
        if not problems and told != 'ok' and not subject.is_done() and not subject.is_half():
            again = ask(subject.call())
            self.found += [] if again == 'ok' else ['%s, told %s, then %s' % (why, told, again)]

    def end_all(self):
        """What is registered is watched: it does not outlive its namespace."""
        for one in self.all:
            one.close()
        try:
            wait_until(lambda: not any(one.remains() for one in self.all), 'end of all')
        except AssertionError:
            self.found += ['after its death: %s' % problem for one in self.all for problem in one.remains()]
        self.all = []

    def check_end(self):
        self.end_all()
        print(self.seen, file=sys.stderr)
        self.assertEqual(self.found, [])

    def sweep(self, make, code, children):
        """Each system call that can fail with this value does so."""
        only = [name for name, codes in ERRNOS.items() if code in codes]
        rounds = Rounds()
        for count in rounds:
            subject = self.subject(make)
            told, hit = self.call_with(subject, [Fault(count, fail(getattr(errno, code)), only)], children)
            self.check(subject, told, '%s at call %d, %s' % (code, count, hit))
            rounds.note(hit)
        self.end_all()

    def check_all(self, make, children=False):
        ask(self.subject(make).call())  # what is loaded once is loaded
        for code in ('ENOMEM', 'EMFILE', 'ENOSPC', 'EIO', 'EINTR', 'EAGAIN', 'ENOBUFS'):
            self.sweep(make, code, children)
        self.check_end()
        self.assertGreater(self.count, 20)

    def test_allocation(self):
        self.check_all(Allocation)

    def test_allocation_in_its_processes(self):
        self.check_all(Allocation, children=True)

    def test_allocation_with_delegations(self):
        self.check_all(lambda service: Allocation(service, delegations=1))

    def test_allocation_below(self):
        self.check_all(AllocationBelow)

    def test_registration(self):
        self.check_all(Registration)

    def test_control_group(self):
        self.check_all(ControlGroup)

    def test_veth(self):
        self.check_all(Veth)

    def double(self, make, first, children=False):
        """The call fails, and then each system call once of what is done about that."""
        rounds = Rounds()
        for count in rounds:
            subject = self.subject(make)
            faults = [first(), Fault(count, fail(errno.EIO), [*ERRNOS])]
            told, hit = self.call_with(subject, faults, children)
            self.assertTrue(hit, 'the first fault was not met')
            self.check_taken_back(subject, told, 'failed %s' % ' and '.join(hit))
            rounds.note(len(hit) == 2)
        self.check_end()

    def test_lost_announcements(self):
        """What is registered is watched, even if the manager could not be told of it."""
        for make in (Allocation, Registration):
            for code in ('ENOMEM', 'ENOBUFS'):
                rounds = Rounds()
                for count in rounds:
                    subject = self.subject(make)
                    told, hit = self.call_with(subject, [Fault(count, fail(getattr(errno, code)), ['sendmsg'])], False)
                    self.check(subject, told, '%s at message %d' % (code, count))
                    rounds.note(hit)
        self.check_end()

    def check_taken_back(self, subject, told, why):
        """Two seconds are given for what the caller must not wait for."""
        if told == 'ok':
            self.found += ['%s, told ok: %s' % (why, one) for one in subject.complaints(True)]
            return
        try:
            wait_until(lambda: not subject.complaints(False) or told == 'closed' and subject.is_done(), 'undo', REPAIR)
        except AssertionError:
            self.found += ['%s, told %s, %g s later: %s' % (why, told, REPAIR, one)
                           for one in subject.complaints(False)]
        if not subject.is_done() and not subject.is_half():
            again = ask(subject.call())
            self.found += [] if again == 'ok' else ['%s, told %s, then %s' % (why, told, again)]

    # The map of the gids is the first: what is written of the second one alone cannot be taken back.
    def test_undo_of_an_allocation(self):
        self.double(Allocation, lambda: Fault(1, fail(errno.EPERM), ['write'], about='/gid_map'), children=True)

    def test_undo_of_a_delegation(self):
        self.double(lambda service: Allocation(service, delegations=1),
                    lambda: Fault(1, fail(errno.EPERM), ['write'], about='/gid_map'), children=True)

    def test_undo_of_an_allocation_below(self):
        self.double(AllocationBelow, lambda: Fault(1, fail(errno.EPERM), ['write'], about='/gid_map'), children=True)

    def test_undo_of_a_control_group(self):
        self.double(ControlGroup, lambda: Fault(2, fail(errno.EIO), ['fchown', 'fchownat']))

    def test_undo_of_a_veth(self):
        self.double(Veth, lambda: Fault(1, fail(errno.ENOBUFS), ['sendto', 'sendmsg']))


if __name__ == '__main__':
    harness.main()
