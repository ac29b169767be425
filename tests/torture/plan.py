# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which cases there are, and in what order they come.

The name of a case says all about it: LEVEL/PHASE/SUBJECT/ROLE/CALL.NTH/ACTION, or LEVEL/inodes|pages/SUBJECT/ROOM."""
import random

from injection import Fault
from phases import DISKS, carry_out
from targets import CALLS, RELEASES
from call_errors import LASTING, ROLES

STARTS = ('empty', 'full', 'crash')
ROOMS = {'inodes': 12, 'pages': 6}
FURTHEST_SECOND_KILL = 40


def groups(level):
    """All (phase, subject, role): each has a list of cases of its own."""
    found = [('call', name, role) for name in CALLS for role in ROLES]
    found += [(phase, name, 'worker') for phase in ('repeat', 'locked') for name in CALLS]
    found += [('repair', name, role) for name in CALLS for role in ('worker', 'manager')]
    found += [('release', name, role) for name in RELEASES for role in ROLES]
    found += [('start', name, role) for name in STARTS for role in ('manager', 'worker')]
    found += [('stop', 'full', role) for role in ('manager', 'worker')]
    found += [(phase, name, None) for phase in DISKS for name in CALLS]
    if level == 'quarantine':
        found += [('refill', name, role) for name in ('alloc', 'one') for role in ('worker', 'manager')]
    return found


class Case:
    def __init__(self, name):
        self.name = name
        self.level, self.phase, self.subject, *rest = name.split('/')
        self.fault = int(rest[0]) if self.phase in DISKS else Fault(*rest)
        self.kind = self.phase + ('' if self.phase in DISKS else ' ' + self.fault.role + ' ' + self.what())

    def what(self):
        if '+' in self.fault.action:
            return 'kill twice'
        return self.fault.action.partition(':')[0]

    def run(self, rig):
        return carry_out(rig, self.phase, self.subject, self.fault)


def actions(phase, call, dice, only_kills):
    if phase in ('repeat', 'locked'):
        return ['kill']
    found = ['kill', 'kill-return', 'kill+%d' % dice.randint(1, FURTHEST_SECOND_KILL)]
    if only_kills:
        return found
    found += ['error:' + error for error in call.errors]
    found += ['sticky:' + error for error in call.errors if error in LASTING]
    return found


class Group:
    """The cases of one (phase, subject, role), in a shuffled order; those that need one get a trace at first use."""

    def __init__(self, traces, phase, subject, role, dice):
        self.traces = traces
        self.prefix = '%s/%s/%s' % (traces.level, phase, subject)
        self.phase, self.subject, self.role, self.dice = phase, subject, role, dice
        self.names = None

    def load(self, rig):
        if self.phase in DISKS:
            self.names = ['%s/%d' % (self.prefix, room) for room in range(ROOMS[self.phase])]
        elif self.phase == 'repair':
            self.names = self.repairs(rig)
        else:
            self.names = self.faults(rig, self.prefix, self.subject)
        self.dice.shuffle(self.names)

    def faults(self, rig, prefix, subject):
        phase = 'call' if self.phase in ('repeat', 'locked') else self.phase
        return ['%s/%s/%s/%s' % (prefix, self.role, call.key, action)
                for call in self.traces.calls(rig, phase, subject, self.role)
                for action in actions(self.phase, call, self.dice, self.traces.only_kills)]

    def repairs(self, rig):
        """After a death at some calls in the second half, where most has been made."""
        calls = self.traces.calls(rig, 'call', self.subject, 'worker')
        found = []
        for call in random.Random(self.prefix).sample(calls[len(calls) // 3:], 3):
            subject = '%s@%s' % (self.subject, call.key)
            found += self.faults(rig, '%s@%s' % (self.prefix, call.key), subject)
        return found

    def next(self, rig):
        if self.names is None:
            self.load(rig)
        return Case(self.names.pop()) if self.names else None


class Untraceable(Exception):
    """Something is wrong without a fault already, or with no other than the one that the subject is about."""


class Traces:
    """The system calls of runs without a fault: each run gives those of all roles."""

    def __init__(self, level, only_kills):
        self.level, self.only_kills, self.known = level, only_kills, {}

    def calls(self, rig, phase, subject, role):
        if (phase, subject) not in self.known:
            name = '%s/%s/%s/worker//none' % (self.level, phase, subject)
            try:
                result = Case(name).run(rig)
            except Exception as error:
                raise Untraceable(name, ['%s: %s' % (type(error).__name__, error)])
            self.known[phase, subject] = result.trace
            if result.problems:
                raise Untraceable(name, result.problems)
        return self.known[phase, subject].get(role, [])


class Plan:
    """The groups of one job: all of a (phase, subject) are of the same."""

    def __init__(self, level, seed, only='', share=0, shares=1, only_kills=False):
        self.dice = random.Random('%s %s %s' % (seed, level, share))
        chosen = [one for one in groups(level) if '/'.join(filter(None, one)).startswith(only)
                  and not (only_kills and one[0] in DISKS)]
        subjects = sorted({one[:2] for one in chosen})
        own = {one for number, one in enumerate(subjects) if number % shares == share}
        traces = Traces(level, only_kills)
        self.groups = [Group(traces, *one, random.Random('%s %s %s' % (seed, level, one)))
                       for one in chosen if one[:2] in own]

    def next(self, rig):
        """One case of a group that is chosen at random, so that each has its share; None: all are done."""
        while self.groups:
            group = self.dice.choice(self.groups)
            case = group.next(rig)
            if case:
                return case
            self.groups.remove(group)
        return None
