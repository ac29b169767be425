# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the interface promises, as plain data: who has which registration, and what each call may answer. No I/O.

Methods named like calls give the set of legal outcomes (written as nslib.Reply.ident() has them; '*' is any refusal) and
change nothing; what was really done is told afterwards. interface.md decides whether this or the service is wrong."""
import re

K64 = 65536
POOLS = {1: range(61184, 65520), K64: range(524288, 1879048192, K64)}
FIT, REGISTRATIONS, DELEGATIONS, CGROUPS, LINKS = re.compile('[a-zA-Z0-9_-]{1,22}'), 256, 16, 16, 16
BAD = 'InvalidParameter:'
UFD, NFD, IFNAME = (BAD + field for field in (
    'userNamespaceFileDescriptor', 'networkNamespaceFileDescriptor', 'namespaceInterfaceName'))


class Record:
    def __init__(self, owner=None, name=None, start=None, size=None, target=None, delegates=(), own=False):
        self.owner, self.name, self.start, self.size, self.target, self.own = owner, name, start, size, target, own
        self.delegates, self.cgroups, self.links, self.mounts = list(delegates), [], {}, []  # links: is it there still?
        self.pooled = start is not None and not own


class Namespace:
    def __init__(self, owner, parent=None, mapped=None):
        self.owner, self.parent, self.mapped = owner, parent, mapped  # mapped: the id that its maker mapped by itself
        self.users, self.record = 1, None  # users: who keeps it alive, the namespaces below it included
        if parent:
            parent.users += 1


class Cgroup:
    def __init__(self, owner):
        self.owner, self.busy, self.doomed, self.gone = owner, False, False, False


def first(*complaints):
    return next(({one} if isinstance(one, str) else one for holds, one in complaints if holds), {'ok'})


class Reference:
    def __init__(self, quarantine=False):
        self.quarantine, self.full = quarantine, False
        self.live, self.dying = [], []  # registered namespaces; records of dead ones, which may be there for a moment
        self.holders = {}  # of each delegated range, the last one has it now
        self.used, self.lost = {}, 0  # at quarantine: who used up each range; how many a crash may have cost

    # Names, users
    def final_name(self, caller, name, mangle):  # a pattern for one that is made up, None for a refusal
        prefix = '%d-' % caller if caller else ''
        if not FIT.fullmatch(prefix + name) and not mangle:
            return None
        made_up = re.compile('%s[0-9a-f]{%d}' % (prefix, min(16, 22 - len(prefix))))
        return (prefix + name)[:22] if FIT.fullmatch((prefix + name)[:22]) else made_up

    def user(self, uid):  # an id of a range counts as the user who got the range
        return next((self.user(one.owner) for one in self.records() + self.dying
                     if one.pooled and one.start <= uid < one.start + one.size), uid)

    def records(self):
        return [ns.record for ns in self.live]

    def room(self, caller, records):
        user = {uid: self.user(uid) for uid in {caller, *(one.owner for one in records)}}
        return REGISTRATIONS - sum(user[one.owner] == user[caller] for one in records)

    def name_and_room(self, caller, final):
        return first((any(one.name == final for one in self.records()), 'NameExists'),
                     (self.room(caller, self.records()) <= 0, 'System:EUSERS'),
                     (self.room(caller, self.records() + self.dying) <= 0, {'ok', 'System:EUSERS'}))

    # AllocateUserRange, RegisterUserNamespace
    def allocate(self, caller, ns, name, size, mangle=False, target=None, own=False, delegates=0):
        final, stranger = self.final_name(caller, name, mangle), own and ns.parent and caller != ns.owner
        early = first((final is None, BAD + 'name'), (size not in ((1,) if own else (1, K64)), BAD + 'size'),
                      (target and (own or target + size > 4294967295), BAD + 'target'),
                      (delegates > DELEGATIONS, 'TooManyDelegations'), (caller not in (0, ns.owner), UFD),
                      (ns.record, {UFD, 'UserNamespaceExists'}), (ns.mapped is not None, UFD))
        if early != {'ok'}:
            return early
        room = self.name_and_room(caller, final)
        wanted = {size: not own, K64: delegates + (not own and size == K64)}
        ranges = {'*'} if stranger else self.ranges(caller, ns.parent, wanted)
        return room if ranges == {'ok'} or room == {'NameExists'} else ranges | room - {'ok'}

    def ranges(self, caller, parent, wanted):
        if not parent:
            over = [self.used_by(caller, size) + count - len(POOLS[size]) // 16 for size, count in wanted.items() if count]
            return first((not self.quarantine or not caller or not over, 'ok'), (max(over, default=0) > 0, 'NoDynamicRange'),
                         (max(over, default=0) + self.lost > 0, {'ok', 'NoDynamicRange'}))
        mapped = parent.record.delegates if parent.record else []
        free = [start for start in mapped if self.is_free(start, parent)]
        return first((not any(wanted.values()), 'ok'), (not mapped, {'DynamicRangeUnavailable', 'System:ESRCH'}),
                     # Single ids are mapped in a large range, but to others.
                     (wanted.get(1), {'DynamicRangeUnavailable', 'NoDynamicRange', 'System:ESRCH'}),
                     (len(mapped) < wanted[K64], {'DynamicRangeUnavailable', 'NoDynamicRange'}),
                     (len(free) < wanted[K64], 'NoDynamicRange'))

    def used_by(self, caller, size):
        me = self.user(caller)
        return sum(user == me and start in POOLS[size] for start, user in self.used.items())

    def is_free(self, start, parent):
        return self.holders.get(start, [None])[-1] is parent and (parent or start not in self.used) and \
            not any(one.pooled and one.start == start for one in self.records())

    def allocated(self, ns, record):  # gives the ranges that may not have been chosen
        chosen = [(start, K64) for start in record.delegates] + [(record.start, record.size)] * record.pooled
        bad = [start for start, size in chosen if start not in POOLS[size] or chosen.count((start, size)) > 1
               or not self.is_free(start, ns.parent) or ns.parent and start not in ns.parent.record.delegates]
        for start, _ in chosen if self.quarantine and not ns.parent else ():
            self.used[start] = self.user(record.owner)
        for start in record.delegates:
            self.holders.setdefault(start, [None]).append(ns)
        self.registered(ns, record)
        return bad

    def register(self, caller, ns, name, mangle=False):
        final, record = self.final_name(caller, name, mangle), ns.record or Record()
        start, rootless = ns.mapped if record.start is None else record.start, record.delegates and record.target
        return first((final is None, BAD + 'name'), (caller not in (0, ns.owner) or start != caller or rootless, UFD),
                     (ns.record, 'UserNamespaceExists'), (True, self.name_and_room(caller, final)))

    def registered(self, ns, record):
        ns.record = record
        self.live.append(ns)

    # AddControlGroup…, AddMount…, AddNetworkToUserNamespace
    def add_cgroup(self, caller, ns, cgroup):
        record = ns.record or Record()
        return first((caller not in (0, ns.owner), UFD), (not ns.record, 'UserNamespaceNotRegistered'),
                     (record.start is None, 'UserNamespaceWithoutUserRange'),
                     (caller and (caller != record.owner or caller != cgroup.owner), 'PermissionDenied'),
                     (cgroup in record.cgroups, 'ControlGroupAlreadyAdded'),
                     (len(record.cgroups) >= CGROUPS, 'TooManyControlGroups'))

    def added_cgroup(self, ns, cgroup):
        ns.record.cgroups.append(cgroup)
        cgroup.owner = ns.record.start

    def add_mount(self, caller, ns):
        return first((caller, 'PermissionDenied'), (not ns.record, 'UserNamespaceNotRegistered'))

    def add_link(self, caller, ns, mode, ifname, network):  # network: 'own' of the namespace, 'foreign', or None
        record = ns.record or Record()
        inside = [key[1] or 'host0' for key in record.links if key[0] == 'veth']
        clash = (ifname or 'host0') in inside if mode == 'veth' else record.links.get((mode, ifname))
        full = len(record.links) >= LINKS and (mode, ifname) not in record.links
        return first((caller not in (0, ns.owner), UFD), (network == 'foreign', NFD), (mode not in ('veth', 'tap'), BAD + 'mode'),
                     (mode == 'tap' and network, NFD), (mode == 'tap' and ifname, IFNAME), (mode == 'veth' and not network, NFD),
                     (not ns.record, 'UserNamespaceNotRegistered'), (caller not in (0, record.owner), 'PermissionDenied'),
                     (clash, '*'), (full, 'TooManyNetworkInterfaces'))

    # Life and death
    def drop(self, ns):  # its last descriptor or process is gone; it may live on for those below it
        ns.users -= 1
        if ns.users == 0:
            if ns.record:
                self.release(ns)
            if ns.parent:
                self.drop(ns.parent)

    def release(self, ns):
        self.live.remove(ns)
        self.dying.append(ns.record)
        for start in ns.record.delegates:
            self.holders[start].remove(ns)
        for cgroup in ns.record.cgroups:  # one that was given to another namespace since is that one's
            shared = ns.record.own and any(cgroup in one.cgroups for one in self.records())
            if cgroup.owner == ns.record.start and not shared:
                cgroup.doomed, cgroup.gone = True, not cgroup.busy
                cgroup.owner = 0 if ns.record.pooled else cgroup.owner

    # Look-ups
    def find(self, name, number):  # what may be found, as (record, offset), None for nothing
        hits = lambda records: [(one, offset) for one in records for offset in self.member(one, name, number)]
        return hits(self.records()) or hits(self.dying) + [None]

    def member(self, record, name, number):  # the offset in the record's range, if it is there
        if name is None:
            return [number - record.start] if record.pooled and 0 <= number - record.start < record.size else []
        offset = re.fullmatch('ns-' + re.escape(record.name) + '-(0|[1-9][0-9]*)', name)
        return [int(offset[1])] if offset and record.size and int(offset[1]) < record.size else []
