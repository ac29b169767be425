# SPDX-License-Identifier: LGPL-2.1-or-later
"""A sequence of steps from a seed, and from nothing else: what the service answers has no influence on what is asked."""
import random

from harm import FAULTS
from steps import CHANGES, NAMESPACES

KINDS = dict(CHANGES, **FAULTS)


class Shadow:
    """What is likely to be there, if all went well; only to make steps that have a sense."""

    def __init__(self):
        self.there, self.delegating, self.named = {}, set(), set()

    def has(self, number):
        return number in self.there

    def free_namespace(self, random):
        free = [number for number in range(NAMESPACES) if number not in self.there]
        return random.choice(free) if free and random.random() < 0.95 else random.randrange(NAMESPACES)

    def any_namespace(self, random):
        return random.choice(sorted(self.there)) if self.there and random.random() < 0.95 else random.randrange(NAMESPACES)

    def parent(self, random):
        if self.delegating and random.random() < 0.9:
            return random.choice(sorted(self.delegating))
        return random.choice(sorted(self.there)) if self.there else None

    def made(self, step):
        self.there[step['ns']] = step
        self.delegating.discard(step['ns'])
        self.named.discard(step['ns'])

    def registered(self, step):
        self.named.add(step['ns'])

    def allocated(self, step):
        self.registered(step)
        if step['delegates']:
            self.delegating.add(step['ns'])

    def registration(self, random):
        there = sorted(self.named & self.there.keys())
        return random.choice(there) if there and random.random() < 0.93 else self.any_namespace(random)

    def drop(self, random, count):
        chosen = random.sample(sorted(self.there), min(count, len(self.there)))
        for number in chosen:
            del self.there[number]
            self.delegating.discard(number)
            self.named.discard(number)
        return chosen


def sequence(seed, count):
    """At least so many steps; all that a draw gives are kept together."""
    source, shadow, steps = random.Random(seed), Shadow(), []
    names = [name for name, (make, _, weight) in KINDS.items() if weight]
    weights = [KINDS[name][2] for name in names]
    while len(steps) < count:
        name = source.choices(names, weights)[0]
        steps += KINDS[name][0](source, shadow)
    return steps
