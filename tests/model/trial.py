# SPDX-License-Identifier: LGPL-2.1-or-later
"""One trial: the world and the model side by side, the comparison of both once all is settled."""
import collections, time

import invariants
from calls import Difference, is_legal, require
from generator import KINDS
from reference import Cgroup, Reference
from world import World

# The interface gives a second; a busy machine may need longer, but not for ever.
RELEASE_TIME, RELEASE_PATIENCE = 1, 8


class Slot:
    """What a number of a namespace stands for."""

    def __init__(self, ns, handle):
        self.ns, self.handle, self.hosts = ns, handle, {}  # hosts: of each link, its name on this side
        self.half = self.may_be_half = False

    @property
    def record(self):
        return self.ns.record


class Trial:
    def __init__(self, binaries, forker, level):
        self.reference = Reference(quarantine=level == 'quarantine')
        self.slots, self.held_below, self.last = {}, [], {}
        self.cgroups, self.processes, self.pins, self.crowd = {}, {}, [], []
        self.done, self.counts, self.slow = 0, collections.Counter(), 0
        self.spent = collections.Counter()
        self.world = World(binaries, forker, level)

    def execute(self, steps):
        for self.done, step in enumerate(steps):
            begin = time.monotonic()
            KINDS[step['do']][1](self, step)
            self.world.service.take_notes()
            self.spent[step['do']] += time.monotonic() - begin
            self.spent['n ' + step['do']] += 1
        self.done = len(steps)
        self.end()

    # Calls
    def compare(self, reply, legal):
        outcome = reply.ident() if reply else 'closed'
        self.counts[outcome] += 1
        require(is_legal(outcome, legal), '%s instead of %s', outcome, ' or '.join(sorted(legal)))

    def perform(self, call):
        try:
            self.conclude(call, call.send())
        finally:
            call.finish()

    def conclude(self, call, reply):
        self.compare(reply, call.legal)
        if reply.error:
            return call.check_nothing()
        call.check_reply(reply)
        call.enter()
        self.last[call.step['ns']] = call.ns.record

    # Namespaces and cgroups
    def hold(self, number, ns, handle):
        self.slots[number] = Slot(ns, handle)

    def drop(self, number, keep_taps):
        slot = self.slots.pop(number)
        self.world.drop(slot.handle, keep_taps)
        if slot.ns.record:  # it may live on, but its network namespace does not
            self.links_are_gone(slot, 'veth')
        if slot.ns.record and not keep_taps:
            self.links_are_gone(slot, 'tap')
        self.reference.drop(slot.ns)
        self.held_below.append(slot)
        self.held_below = [one for one in self.held_below if one.ns.users]

    def links_are_gone(self, slot, mode):
        for key in slot.ns.record.links:
            slot.ns.record.links[key] = slot.ns.record.links[key] and key[0] != mode

    def close_taps(self, slot):
        self.world.close_taps(slot.handle)
        if slot.ns.record:
            self.links_are_gone(slot, 'tap')

    def new_cgroup(self, number, owner, busy):
        self.world.new_cgroup(number, owner)
        self.cgroups[number] = Cgroup(owner)
        if busy:
            self.processes[number] = self.world.forker.process(self.world.cgroup_path(number))
            self.cgroups[number].busy = True

    def end_process(self, number):
        if number in self.processes:
            self.world.forker.end(self.processes.pop(number))
            cgroup = self.cgroups[number]
            cgroup.busy, cgroup.gone = False, cgroup.doomed

    def is_gone(self, number):
        return number not in self.cgroups or self.cgroups[number].gone

    def check_cgroup(self, number):
        """The release of its dead registration may be under way."""
        self.within('a refused cgroup', lambda: list(filter(None, [self.about_cgroup(number)])))

    # Once all is settled
    def repaired(self):
        """On a full disk a repair may have to wait for room."""
        if self.reference.full:
            self.world.make_room()
            self.reference.full = False
        self.within('repair', lambda: list(invariants.unfinished_problems(self.world.run)))

    def within(self, what, complaints):
        begin = time.monotonic()
        while True:
            found = complaints()
            passed = time.monotonic() - begin
            if not found:
                self.slow = max(self.slow, passed)
                return
            if passed > RELEASE_PATIENCE:
                raise Difference('%s, after %d s: %s' % (what, passed, '; '.join(found[:5])))
            time.sleep(0.02)

    def living_inodes(self):
        return {slot.handle.inode for slot in [*self.slots.values(), *self.held_below]}

    def settle(self):
        if self.reference.full:
            return
        self.within('settled state', self.complaints)
        self.reference.dying.clear()
        self.check_pins()
        self.check_invariants()

    def complaints(self):
        self.world.service.take_notes()
        found = list(invariants.unfinished_problems(self.world.run))
        slots = [slot for slot in [*self.slots.values(), *self.held_below] if slot.ns.record]
        expected = self.expected_files(slots)
        there = set(self.world.service.files())
        found += ['file %s is missing' % name for name in sorted(expected - there)]
        found += ['file %s is left' % name for name in sorted(there - expected)]
        for slot in slots:
            found += self.about_record(slot)
        for start, holders in self.reference.holders.items():
            found += self.about_delegation(start, holders)
        for number in self.cgroups:
            found += filter(None, [self.about_cgroup(number)])
        links = sorted(slot.hosts[key] for slot in slots for key, present in slot.record.links.items() if present)
        if self.world.host_links() != links:
            found.append('links %r instead of %r' % (self.world.host_links(), links))
        return found

    def expected_files(self, slots):
        found = set()
        for slot in slots:
            record, own = slot.record, 'i%d.userns' % slot.handle.inode
            found |= {own, 'n%s.userns' % record.name, 'o%d.owns' % record.owner, 'o%d.owns/%s' % (record.owner, own)}
            if record.pooled:
                found |= {'u%d.userns' % record.start, 'g%d.userns' % record.start}
        for start, holders in self.reference.holders.items():
            if holders[-1]:
                found |= {'u%d.delegate' % start, 'g%d.delegate' % start}
        return found

    def about_record(self, slot):
        record, handle = slot.record, slot.handle
        want = dict(owner=record.owner, name=record.name, userns=handle.inode, usernsId=handle.id)
        if record.start is not None:
            want.update(size=record.size, start=record.start, startGid=record.start, target=record.target,
                        targetGid=record.target)
        if record.own:
            want['setgroupsDeny'] = True
        if record.delegates:
            want['delegates'] = [dict(userns=handle.inode, start=start, startGid=start, size=65536)
                                 for start in record.delegates]
        if record.cgroups:
            want['cgroups'] = [cgroup.number for cgroup in record.cgroups]
        if slot.hosts:
            want['netifs'] = list(slot.hosts.values())
        entry = self.world.entry('i%d.userns' % handle.inode)
        if not entry:
            return ['no record of %s' % record.name]
        found, links = entry
        if not found.get('setgroupsDeny', True):
            del found['setgroupsDeny']
        wrong = [] if found == want else ['record %r instead of %r' % (found, want)]
        count = 5 if record.pooled else 3
        return wrong + ([] if links == count else ['%d links of %s instead of %d' % (links, record.name, count)])

    def about_delegation(self, start, holders):
        entry = self.world.entry('u%d.delegate' % start)
        if not holders[-1] or not entry:
            return []
        inodes = [self.inode_of(ns) for ns in holders[1:]]
        found = entry[0]
        living = [inode for inode in found.get('ancestorUserns', []) if inode in inodes]
        good = found['userns'] == inodes[-1] and living == inodes[:-1] and \
            (found['start'], found['startGid'], found['size']) == (start, start, 65536)
        return [] if good else ['delegation %r instead of holders %r' % (found, inodes)]

    def inode_of(self, ns):
        return next(slot.handle.inode for slot in [*self.slots.values(), *self.held_below] if slot.ns is ns)

    def about_cgroup(self, number):
        """What is wrong with it. Its other files keep their owner."""
        cgroup, found = self.cgroups[number], self.world.cgroup_owners(number)
        if cgroup.gone or found is None:
            return None if cgroup.gone and found is None else 'cgroup %d %s' % (
                number, 'is left' if cgroup.gone else 'is gone')
        want = cgroup.owner, {cgroup.owner if hasattr(cgroup, 'number') else 0}
        return None if found == want else 'cgroup %d has owners %r instead of %r' % (number, found, want)

    def check_invariants(self):
        """What must hold of any instance, whatever was asked of it. The crowd's maps are not looked at: so many take long."""
        slots = [slot for number, slot in self.slots.items() if number not in self.crowd]
        wrong = invariants.check(
            self.world.run, self.world.service.pid, [slot.handle for slot in slots if not slot.record],
            [slot.handle for slot in slots if slot.record], may_have_notes=True,
            may_live=self.living_inodes())
        require(not wrong, '%s', '; '.join(wrong[:5]))

    def check_pins(self):
        """A mount is held for as long as its namespace is registered."""
        held = {pin for slot in [*self.slots.values(), *self.held_below] if slot.record for pin in slot.record.mounts}
        for pin in list(self.pins):
            if pin in held and not pin.certain:
                continue
            if pin in held:
                require(pin.is_held(), 'a mount of a living namespace is not pinned')
                continue
            self.within('a mount of no living namespace is pinned', lambda: self.about_pin(pin))
            self.pins.remove(pin)

    def about_pin(self, pin):
        self.world.service.take_notes()  # the service manager has a copy until it is told
        return ['it is'] if pin.is_held() else []

    def end(self):
        if self.reference.full:
            self.world.make_room()
            self.reference.full = False
        for number in list(self.slots):
            self.drop(number, False)
        for number in list(self.processes):
            self.end_process(number)
        self.settle()
        require(not self.slots, 'slots are left')
        self.world.stop()
        left = [one for one in self.world.service.leftovers() if one.split()[0] != 'mount']
        require(not left, 'left after the stop: %s', left)
