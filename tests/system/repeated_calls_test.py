#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker dies over a call, and the client repeats it at once, while the repair of the first one is under way. What
the second call was told is true, and stays so for as long as the namespace lives; its death takes all of it away."""
import contextlib, fcntl, os, select, sys, threading, time, unittest

import harness
from harness import DaemonTest, wait_until
from injector import SUPPORTED, Fault, inject, kill
from nslib import Conn
from subjects import Allocation, AllocationBelow, ControlGroup, Registration, Veth, answer, ask

MAX_ROUNDS = 400
# A user may have 256 registrations.
MAX_LIVING = 60
# In seconds: how long a third process holds the registry's lock, so that repair and new call meet.
HELD = 0.4
# For how long it is looked whether something stays as it is.
STAYS = 2


class RegistryLock:
    """Asked for while the victim may have it, and had before anybody else when the victim is dead."""

    def __init__(self, service):
        self.fd = os.open(os.path.join(service.registry, 'lock'), os.O_RDWR | os.O_CLOEXEC)
        self.thread = threading.Thread(target=fcntl.flock, args=(self.fd, fcntl.LOCK_EX))

    def ask(self):
        self.thread.start()
        time.sleep(0.02)  # until it waits, or has it

    def hold(self):
        self.thread.join()
        time.sleep(HELD)
        self.close()

    def close(self):
        os.close(self.fd)


@unittest.skipUnless(SUPPORTED, 'faults are injected on x86_64 only')
class RepeatedCalls(DaemonTest):
    maxDiff = None

    def round(self, service, subject, count, slow):
        """The first call is cut off at its system call number `count`. Gives what the second one was told, None if the
        first came through."""
        lock = RegistryLock(service) if slow else None

        def kill_it(victim):
            if lock:
                lock.ask()
            kill(victim)
        with Conn() as first, Conn() as second:
            workers = service.quiet_workers()
            hit = inject(workers, [Fault(count, kill_it)], lambda: first.send(*subject.call()),
                         lambda: has_answer(first))
            if not hit:
                if lock:
                    lock.close()
                self.assertEqual(answer(first), 'ok')
                return None
            second.send(*subject.call())
            if lock:
                lock.hold()
            return answer(second)

    def problems(self, service, subject, told):
        """What is not as the second call was told. An error of another kind says only that the call can be made
        again."""
        wait_until(lambda: not service.unfinished(), 'repair')
        found = ['told %s' % told] if told in subject.FALSE else []
        if (told == 'ok' or told in subject.SAID) and not subject.is_half():
            found += ['told %s: %s' % (told, one) for one in subject.complaints(True)]
        if not subject.is_done() and not subject.is_half():
            told = ask(subject.call())
            if told != 'ok' and not subject.is_done():
                found += ['%s, in spite of %r' % (told, subject.complaints(True))]
        return found

    def under_fire(self, kind, slow, step=1):
        service, found, seen, batch, spared = self.instance(), [], {}, [], 0
        ask(self.subject(kind, service).call())  # what is loaded once is loaded
        for count in range(1, MAX_ROUNDS, step):
            subject = self.subject(kind, service)
            batch.append(subject)
            told = self.round(service, subject, count, slow)
            seen[told] = seen.get(told, 0) + 1
            found += ['call %d: %s' % (count, one) for one in self.problems(service, subject, told)]
            spared = 0 if told else spared + 1
            if spared == 3:
                break
            if len(batch) == MAX_LIVING:
                found += self.look_again(batch)
                batch = []
        found += self.look_again(batch)
        print(kind.__name__, seen, file=sys.stderr)
        self.assertEqual(found, [])
        self.assertGreater(sum(seen.values()) - spared, 10, seen)

    def subject(self, kind, service):
        made = kind(service)
        self.open.callback(made.clear)
        return self.keep(made)

    def look_again(self, made):
        """Some seconds later, and after the death of all."""
        time.sleep(STAYS)
        found = ['later: %s' % one for subject in made if not subject.is_half() for one in subject.complaints(True)]
        for subject in made:
            subject.close()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not any(subject.remains() for subject in made), 'end of all')
        return found + ['after its death: %s' % one for subject in made for one in subject.remains()]

    def test_allocation(self):
        self.under_fire(Allocation, slow=False)

    def test_allocation_with_a_slow_lock(self):
        self.under_fire(Allocation, slow=True, step=2)

    def test_allocation_below(self):
        self.under_fire(AllocationBelow, slow=False)

    def test_registration(self):
        self.under_fire(Registration, slow=False)

    def test_control_group(self):
        self.under_fire(ControlGroup, slow=False)

    def test_control_group_with_a_slow_lock(self):
        self.under_fire(ControlGroup, slow=True)

    def test_veth(self):
        self.under_fire(Veth, slow=False)

    def test_veth_with_a_slow_lock(self):
        self.under_fire(Veth, slow=True, step=2)


def has_answer(connection):
    return select.select([connection.s], [], [], 0)[0]


if __name__ == '__main__':
    harness.main()
