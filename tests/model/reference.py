# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the interface promises, as plain data: who has which registration, and what each call may answer. No I/O.

An outcome is written as nslib.Reply.ident() has it; '*' is any refusal. Methods that ask give the set of legal outcomes,
and change nothing; what was really done is told afterwards."""
import re

K64, POOLS = 65536, {1: range(61184, 65520), 65536: range(524288, 1879048192, 65536)}
FIT = re.compile(r'[a-zA-Z0-9_-]{1,22}')
MOST = dict(registrations=256, delegations=16, cgroups=16, links=16)
UFD, CFD, NFD, IFNAME = ('InvalidParameter:' + field for field in (
    'userNamespaceFileDescriptor', 'controlGroupFileDescriptor', 'networkNamespaceFileDescriptor',
    'namespaceInterfaceName'))


class Record:
    def __init__(self, owner, name, start=None, size=None, target=None, delegates=(), own=False):
        self.owner, self.name, self.start, self.size, self.target, self.own = owner, name, start, size, target, own
        self.delegates, self.cgroups, self.links, self.mounts = list(delegates), [], {}, []

    def has_pool_range(self):
        return self.start is not None and not self.own


class Namespace:
    def __init__(self, owner, parent=None, mapped=None):
        self.owner, self.parent, self.mapped = owner, parent, mapped  # mapped: the id that its maker mapped
        self.held, self.children, self.record = True, [], None
        if parent:
            parent.children.append(self)

    def lives(self):
        return self.held or any(child.lives() for child in self.children)


class Cgroup:
    def __init__(self, owner):
        self.owner, self.busy, self.doomed, self.gone = owner, False, False, False


class Reference:
    def __init__(self, quarantine=False):
        self.quarantine, self.full = quarantine, False
        self.live, self.dying = [], []  # registered namespaces; records of dead ones that need not be released yet
        self.holders = {}  # of each delegated range, the last one has it
        self.used, self.lost = {}, 0  # at quarantine: the user of each range of the past; ranges that a crash may have cost

    # Names and users
    def final_name(self, caller, name, mangle):
        """The name, a pattern for one that is made up, or None for a refusal."""
        prefix = '%d-' % caller if caller else ''
        full = prefix + name
        if FIT.fullmatch(full):
            return full
        if mangle and FIT.fullmatch(full[:22]):
            return full[:22]
        return re.compile(re.escape(prefix) + '[0-9a-f]{%d}' % min(16, 22 - len(prefix))) if mangle else None

    def taken(self, name):
        return any(one.record.name == name for one in self.live)

    def user(self, uid):
        for one in [one.record for one in self.live] + self.dying:
            if one.has_pool_range() and one.start <= uid < one.start + one.size:
                return self.user(one.owner)
        return uid

    def room_left(self, caller, records=None):
        records = [one.record for one in self.live] if records is None else records
        return MOST['registrations'] - sum(self.user(one.owner) == self.user(caller) for one in records)

    def room(self, caller):
        if self.room_left(caller) <= 0:
            return {'System:EUSERS'}
        with_dying = self.room_left(caller, [one.record for one in self.live] + self.dying)
        return {'ok'} if with_dying > 0 else {'ok', 'System:EUSERS'}

    # AllocateUserRange and RegisterUserNamespace
    def allocate(self, caller, ns, name, size, mangle=False, target=None, own=False, delegates=0):
        final = self.final_name(caller, name, mangle)
        if final is None:
            return {'InvalidParameter:name'}
        if size not in ((1,) if own else (1, K64)):
            return {'InvalidParameter:size'}
        if target is not None and (target != 0 if own else target + size > 4294967295):
            return {'InvalidParameter:target'}
        if delegates > MOST['delegations']:
            return {'TooManyDelegations'}
        if caller not in (0, ns.owner):
            return {UFD}
        if ns.record or ns.mapped is not None:
            return {UFD} | ({'UserNamespaceExists'} if ns.record else set())
        if self.taken(final):
            return {'NameExists'}
        if own and ns.parent and caller != ns.owner:
            return {'*'}  # no id of the caller's is mapped there
        ranges, room = self.range_outcomes(caller, ns.parent, size, own, delegates), self.room(caller)
        return room if ranges == {'ok'} else ranges if room == {'ok'} else ranges | room

    def range_outcomes(self, caller, parent, size, own, delegates):
        wanted = {K64: delegates, 1: 0}
        wanted[size] += not own
        if not parent:
            mine = {size: sum(self.user(caller) == user for start, user in self.used.items() if start in POOLS[size])
                    for size in POOLS} if self.quarantine and caller else {1: 0, K64: 0}
            over = [wanted[size] and mine[size] + wanted[size] - len(POOLS[size]) // 16 for size in POOLS]
            if max(over) > 0:
                return {'NoDynamicRange'}
            return {'ok', 'NoDynamicRange'} if self.quarantine and max(over) + self.lost > 0 else {'ok'}
        mapped = parent.record.delegates if parent.record else []
        free = [start for start in mapped if self.is_free(start, parent)]
        if not any(wanted.values()):
            return {'ok'}
        if wanted[1]:  # the ids of that pool are mapped in a large range, but to others
            return {'DynamicRangeUnavailable', 'System:ESRCH'} | ({'NoDynamicRange'} if len(free) < delegates else set())
        if not mapped:
            return {'DynamicRangeUnavailable'}
        if len(mapped) < wanted[K64]:
            return {'DynamicRangeUnavailable', 'NoDynamicRange'}
        return {'ok'} if len(free) >= wanted[K64] else {'NoDynamicRange'}

    def is_free(self, start, parent):
        holder = self.holders.get(start, [None])[-1]
        own = any(one.record.has_pool_range() and one.record.start == start for one in self.live)
        return not own and holder is parent and (parent or start not in self.used)

    def allocated(self, ns, record):
        """Gives what is wrong with the ranges that were chosen, None if nothing is."""
        chosen = record.delegates + ([record.start] if record.has_pool_range() else [])
        for start in chosen:
            pool = POOLS[K64 if start in record.delegates else record.size]
            if start not in pool or chosen.count(start) > 1 or not self.is_free(start, ns.parent):
                return 'range %d is not free' % start
            if ns.parent and start not in ns.parent.record.delegates:
                return 'range %d is not mapped in the parent' % start
        for start in chosen:
            if self.quarantine and not ns.parent:
                self.used[start] = self.user(record.owner)
        for start in record.delegates:
            self.holders.setdefault(start, [None]).append(ns)
        self.registered(ns, record)
        return None

    def register(self, caller, ns, name, mangle=False):
        final = self.final_name(caller, name, mangle)
        if final is None:
            return {'InvalidParameter:name'}
        first = ns.record.start if ns.record and ns.record.start is not None else ns.mapped
        if caller not in (0, ns.owner) or first != caller:
            return {UFD}
        if ns.record:
            return {'UserNamespaceExists'}
        return {'NameExists'} if self.taken(final) else self.room(caller)

    def registered(self, ns, record):
        ns.record = record
        self.live.append(ns)

    # What is added
    def add_cgroup(self, caller, ns, cgroup):
        record = ns.record
        if caller not in (0, ns.owner):
            return {UFD}
        if not record:
            return {'UserNamespaceNotRegistered'}
        if record.start is None:
            return {'UserNamespaceWithoutUserRange'}
        if caller and (caller != record.owner or caller != cgroup.owner):
            return {'PermissionDenied'}
        if cgroup in record.cgroups:
            return {'ControlGroupAlreadyAdded'}
        return {'TooManyControlGroups'} if len(record.cgroups) >= MOST['cgroups'] else {'ok'}

    def added_cgroup(self, ns, cgroup):
        ns.record.cgroups.append(cgroup)
        cgroup.owner = ns.record.start

    def add_mount(self, caller, ns):
        return {'PermissionDenied'} if caller else {'ok'} if ns.record else {'UserNamespaceNotRegistered'}

    def alternative_name(self, record, ifname):
        return '-'.join(['ns', str(record.owner), record.name] + ([ifname] if ifname else []))

    def add_link(self, caller, ns, mode, ifname, network):
        """network: that of the namespace, 'own', or a 'foreign' one, or None."""
        if caller not in (0, ns.owner):
            return {UFD}
        if network == 'foreign':
            return {NFD}
        if mode not in ('veth', 'tap'):
            return {'InvalidParameter:mode'}
        if mode == 'tap' and (network or ifname):
            return {NFD, IFNAME} if network and ifname else {NFD} if network else {IFNAME}
        if mode == 'veth' and not network:
            return {NFD}
        if not ns.record:
            return {'UserNamespaceNotRegistered'}
        if caller not in (0, ns.record.owner):
            return {'PermissionDenied'}
        there = {self.alternative_name(one.record, key[1]) for one in self.live
                 for key, present in one.record.links.items() if present}
        inside = [key[1] or 'host0' for key in ns.record.links if key[0] == 'veth']
        clash = self.alternative_name(ns.record, ifname) in there or (mode == 'veth' and (ifname or 'host0') in inside)
        again = (mode, ifname) in ns.record.links
        if len(ns.record.links) >= MOST['links'] and not again:
            return {'*'} if clash else {'TooManyNetworkInterfaces'}
        return {'*'} if clash else {'ok'}

    def added_link(self, ns, mode, ifname, present=True):
        ns.record.links[mode, ifname] = present

    # Life and death
    def drop(self, ns):
        """Its last descriptor or process goes; it may live on for those below it."""
        ns.held = False
        while ns and not ns.lives() and not getattr(ns, 'dead', False):
            ns.dead = True
            if ns.record:
                self.release(ns)
            ns = ns.parent

    def release(self, ns):
        self.live.remove(ns)
        self.dying.append(ns.record)
        for start in ns.record.delegates:
            self.holders[start].remove(ns)
        for cgroup in ns.record.cgroups:
            cgroup.doomed = True
            if ns.record.has_pool_range() and not any(cgroup in one.record.cgroups and cgroup.owner == one.record.start for one in self.live):
                cgroup.owner = 0
            self.settle_cgroup(cgroup)

    def settle_cgroup(self, cgroup):
        cgroup.gone = cgroup.gone or (cgroup.doomed and not cgroup.busy)

    # Look-ups
    def find(self, name=None, number=None):
        """What may be found, as (record, offset), None for nothing. The dead may be found until they are released."""
        hits = lambda records: [hit for hit in (self.member(one, name, number) for one in records) if hit]
        return hits([one.record for one in self.live]) or hits(self.dying) + [None]

    def member(self, record, name, number):
        if record.start is None:
            return None
        if name is not None:
            stem, _, offset = name.rpartition('-')
            if stem != 'ns-' + record.name or not re.fullmatch('0|[1-9][0-9]*', offset) or int(offset) >= record.size:
                return None
            return record, int(offset)
        inside = record.has_pool_range() and record.start <= number < record.start + record.size
        return (record, number - record.start) if inside else None
