#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces below namespaces, each with ranges that the one above was given: whoever dies when, every range goes back to
where it came from, and in the end the registry is as it was."""
import itertools, os

import harness
from harness import DaemonTest, alloc, wait_until
from nslib import Conn, eq, make_userns, try_allocate

LEVELS = 5
BATCH = 40  # of five each: one uid may have 256


class Chain:
    """Five levels; the topmost has four ranges to give away, the next three of these, and so on."""

    def __init__(self, service, number, inner_callers):
        self.members, self.states = [], [{}]
        base = service.contents()
        for level in range(LEVELS):
            above = self.members[-1] if self.members else None
            one = alloc(name='c%d-%d' % (number, level), parent=above and above.fd,
                        uid=above.start if above and inner_callers else 0, delegateContainerRanges=LEVELS - 1 - level)
            self.members.append(one)
            # What there is of this chain as soon as this level has been made, and again when all below it are dead.
            self.states.append({name: what for name, what in service.contents().items() if base.get(name) != what})
        self.uid_maps = [one.um for one in self.members]

    def check_maps(self):
        """Each has its own range at 0 and the delegated ones 1:1, all of them ranges that the one above had to give."""
        above = None
        for level, lines in enumerate(self.uid_maps):
            own, *given = lines
            eq((own[0], own[2], len(given)), (0, 65536, LEVELS - 1 - level), 'shape of the map')
            starts = {start for _, start, _ in lines}
            eq(len(starts), len(lines), 'different ranges')
            for inside, outside, size in given:
                eq((inside, size), (outside, 65536), 'delegated line')
            if above is not None:
                eq(starts, above, 'ranges from above')
            above = {start for _, start, _ in given}

    def close(self, level):
        self.members[level].close()

    def living(self):
        """How many levels live: a namespace outlives its last descriptor while there is one below it."""
        held = [level for level in range(LEVELS) if self.members[level].fd >= 0]
        return max(held) + 1 if held else 0

    def state(self):
        return self.states[self.living()]


class Nested(DaemonTest):
    LEVEL = 'none'

    def settle(self, service, chains):
        """The registry has to become what the chains say, to the last byte."""
        wanted = {}
        for chain in chains:
            wanted.update(chain.state())
        try:
            wait_until(lambda: service.contents() == wanted, 'the registry')
        except AssertionError:
            found = service.contents()
            wrong = {name: (found.get(name), wanted.get(name)) for name in set(found) | set(wanted)
                     if found.get(name) != wanted.get(name)}
            raise AssertionError('as found, as wanted: %r' % dict(list(wrong.items())[:5]))

    def run_batch(self, orders, between=lambda step: None, inner_callers=False):
        service = self.service
        chains = [Chain(service, number, inner_callers) for number in range(len(orders))]
        for chain in chains:
            chain.check_maps()
            self.open.callback(lambda chain=chain: [one.close() for one in chain.members])
        self.settle(service, chains)
        for step in range(LEVELS):
            for chain, order in zip(chains, orders):
                chain.close(order[step])
            between(step)
            if service.pid is not None:
                self.settle(service, chains)
        self.assertEqual(service.files(), [])
        self.assertEqual(service.unfinished(), [])
        return [chain.uid_maps for chain in chains]

    def orders(self, batch):
        return list(itertools.permutations(range(LEVELS)))[batch * BATCH:(batch + 1) * BATCH]

    def start_service(self):
        self.service = self.instance(enforcement=self.LEVEL)

    def test_first_third(self):
        self.start_service()
        self.run_batch(self.orders(0))

    def test_second_third_with_restarts(self):
        self.start_service()

        def restart(step):
            if step in (1, 3):
                self.service.stop()
                self.service.start()
        self.run_batch(self.orders(1), restart)

    def test_last_third_with_deaths_while_it_is_down(self):
        self.start_service()

        def kill_or_start(step):
            if step in (0, 2):
                self.service.kill()
            elif step in (1, 3):
                self.service.start()
        self.run_batch(self.orders(2), kill_or_start)

    def test_callers_inside(self):
        """Each level is asked for by the root user of the one above."""
        self.start_service()
        self.run_batch(self.orders(0)[::4], inner_callers=True)

    def test_same_ranges_again(self):
        if self.LEVEL == 'quarantine':
            self.skipTest('quarantine never hands out a range twice')
        self.start_service()
        orders = self.orders(0)[:3]
        self.assertEqual(self.run_batch(orders), self.run_batch(orders))


class NestedInQuarantine(Nested):
    LEVEL = 'quarantine'


class Siblings(DaemonTest):
    """Two below one share what it has."""

    def setUp(self):
        super().setUp()
        self.service = self.instance()
        self.parent = self.keep(alloc(name='p', delegateContainerRanges=4))
        self.given = {start for _, start, _ in self.parent.um[1:]}
        self.before = self.service.contents()

    def child(self, name, **settings):
        return self.keep(alloc(name=name, parent=self.parent.fd, **settings))

    def outcome(self, name, **settings):
        fd = make_userns(0, parent=self.parent.fd)
        try:
            with Conn() as connection:
                return try_allocate(connection, fd=fd, name=name, **settings).ident()
        finally:
            os.close(fd)

    def settled(self, wanted):
        wait_until(lambda: self.service.contents() == wanted, 'the registry as before')

    def test_they_never_share_a_range(self):
        one, other = self.child('one', delegateContainerRanges=1), self.child('other', delegateContainerRanges=1)
        starts = [start for _, start, _ in one.um + other.um]
        self.assertEqual(len(starts), 4)
        self.assertEqual(set(starts), self.given)
        full = self.service.contents()
        self.assertEqual(self.outcome('third'), 'NoDynamicRange')
        self.assertEqual(self.service.contents(), full)
        one.close()
        wait_until(lambda: 'none.userns' not in self.service.files(), 'release')
        third = self.child('third', delegateContainerRanges=1)
        self.assertEqual({start for _, start, _ in third.um}, {start for _, start, _ in one.um})
        third.close()
        other.close()
        self.settled(self.before)

    def test_too_few_takes_none(self):
        one = self.child('one', delegateContainerRanges=1)
        full = self.service.contents()
        self.assertEqual(self.outcome('greedy', delegateContainerRanges=2), 'NoDynamicRange')
        self.assertEqual(self.service.contents(), full)
        one.close()
        self.settled(self.before)

    def test_unregistered_one_between_has_nothing_to_give(self):
        """What it maps was delegated to the one above it, which lives."""
        lines = [(0, 0, 1)] + [(start, start, 65536) for start in sorted(self.given)]
        between = make_userns(0, parent=self.parent.fd, maps=lines)
        below = make_userns(0, parent=between)
        with Conn() as connection:
            self.assertEqual(try_allocate(connection, fd=below).ident(), 'NoDynamicRange')
        self.assertEqual(self.service.contents(), self.before)
        os.close(below)
        os.close(between)


if __name__ == '__main__':
    harness.main()
