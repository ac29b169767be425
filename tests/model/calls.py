# SPDX-License-Identifier: LGPL-2.1-or-later
"""The calls that change something: what is sent, what may be answered, and how the outcome is found and entered into the
model. Each is made from a step, and is None where the step has no sense (its namespace is gone)."""
import os

from nslib import ALLOC, CFD, CGROUP, MFD, MOUNT, NET, NFD, REGISTER, UFD
from reference import Record


class Difference(Exception):
    """Between the model and the service."""


def require(condition, text, *values):
    if not condition:
        raise Difference(text % values)


def is_legal(outcome, legal):
    return outcome in legal or outcome != 'ok' and any(
        one.endswith('*') and outcome.startswith(one[:-1]) for one in legal)


class Call:
    """`legal`: the outcomes that the model allows; `repeated`: what may be said if it was done already."""
    repeated = set()

    def __init__(self, run, step):
        self.run, self.step, self.slot = run, step, run.slots[step['ns']]
        self.ns, self.handle = self.slot.ns, self.slot.handle
        self.user = self.ns.owner if step['as'] == 'owner' else step['as']
        self.parameters, self.fds = {UFD: 0}, [self.handle.fd]
        self.build()
        self.legal = self.ask()
        if run.reference.full:
            self.legal = self.legal | {'System:*'}

    def send(self):
        return self.run.world.call(self.user, self.method, self.parameters, self.fds)

    def finish(self):
        """After the call, whatever came of it."""

    def record(self):
        return self.run.world.record_of(self.handle) or {}

    def check_name(self, name):
        final = self.run.reference.final_name(self.user, self.step['name'], self.step['mangle'])
        require(name == final if isinstance(final, str) else final.fullmatch(name), 'name %r instead of %r', name, final)


class Naming(Call):
    """One that makes a registration."""

    def happened(self):
        return bool(self.record())

    def check_reply(self, reply):
        require(set(reply.params) == {'name'}, 'reply %r', reply.params)
        self.check_name(reply.params['name'])

    def enter(self):
        """Into the model, what the registry says; the settled state compares all of it."""
        found = self.record()
        require(found, 'no record')
        self.check_name(found['name'])
        self.slot.last = self.make_record(found)


class Allocate(Naming):
    method, repeated = ALLOC, {'UserNamespaceExists', 'InvalidParameter:' + UFD}

    def build(self):
        step = self.step
        self.parameters.update(name=step['name'], size=step['size'], type='self' if step['own'] else 'managed')
        for key, value in (('mangleName', step['mangle']), ('target', step['target']),
                           ('delegateContainerRanges', step['delegates'])):
            if value is not None:
                self.parameters[key] = value

    def ask(self):
        step = self.step
        return self.run.reference.allocate(self.user, self.ns, step['name'], step['size'], step['mangle'], step['target'],
                                           step['own'], step['delegates'] or 0)

    def make_record(self, found):
        reference, own = self.run.reference, self.step['own']
        delegates = [one['start'] for one in found.get('delegates', [])]
        require(len(delegates) == (self.step['delegates'] or 0), 'delegates %r', delegates)
        inside = self.step['target']
        if own:
            require(found['start'] == self.user, 'type self: start %d', found['start'])
            inside = inside if inside is not None else 0 if self.ns.parent else self.user
        record = Record(self.user, found['name'], found['start'], self.step['size'], inside or 0, delegates, own)
        taken = reference.allocated(self.ns, record)
        require(not taken, 'ranges that were not to be had: %r', taken)
        self.check_maps(record)
        return record

    def check_maps(self, record):
        uids, gids = self.run.world.forker.maps(self.handle.fd)
        self.slot.half = not uids and self.slot.may_be_half
        want = sorted([(record.target, record.start, record.size)] + [(start, start, 65536) for start in record.delegates])
        uids, gids = sorted(uids), sorted(gids)  # the kernel sorts many lines itself
        require(gids == want and (uids == want or self.slot.half), 'maps %r, %r instead of %r', uids, gids, want)

    def check_nothing(self):
        if self.ns.mapped is None and not self.ns.record:
            require(not self.record(), 'the call failed, but there is a record')
            found = self.run.world.forker.maps(self.handle.fd)
            require(found == ([], []), 'the call failed, but there are maps: %r', found)


class Register(Naming):
    method, repeated = REGISTER, {'UserNamespaceExists'}

    def build(self):
        self.parameters.update(name=self.step['name'], mangleName=self.step['mangle'])

    def ask(self):
        return self.run.reference.register(self.user, self.ns, self.step['name'], self.step['mangle'])

    def make_record(self, found):
        record = Record(self.user, found['name'])
        self.run.reference.registered(self.ns, record)
        return record

    def check_nothing(self):
        if not self.ns.record:
            require(not self.record(), 'the call failed, but there is a record')


class AddCgroup(Call):
    # By then the cgroup is not its caller's any more.
    method, repeated = CGROUP, {'ControlGroupAlreadyAdded', 'PermissionDenied'}

    def build(self):
        self.cgroup = self.run.cgroups[self.step['cgroup']]
        self.fds.append(os.open(self.run.world.cgroup_path(self.step['cgroup']), os.O_RDONLY | os.O_DIRECTORY))
        self.number = os.fstat(self.fds[1]).st_ino
        self.parameters[CFD] = 1

    def ask(self):
        return self.run.reference.add_cgroup(self.user, self.ns, self.cgroup)

    def finish(self):
        os.close(self.fds[1])

    def happened(self):
        return self.number in self.record().get('cgroups', [])

    def check_reply(self, reply):
        require(not reply.params, 'reply %r', reply.params)

    def enter(self):
        self.run.reference.added_cgroup(self.ns, self.cgroup)
        self.cgroup.number = self.number

    def check_nothing(self):
        recorded = self.cgroup in self.ns.record.cgroups if self.ns.record else False
        require(self.happened() == recorded, 'the call failed, but the cgroup is recorded')
        self.run.check_cgroup(self.step['cgroup'])


class AddMount(Call):
    method = MOUNT

    def build(self):
        self.pin, mount = self.run.world.new_mount()
        self.fds.append(mount)
        self.parameters[MFD] = 1

    def ask(self):
        return self.run.reference.add_mount(self.user, self.ns)

    def finish(self):
        os.close(self.fds[1])
        self.run.pins.append(self.pin)

    def happened(self):
        return False  # nothing tells it without taking it away

    def check_reply(self, reply):
        require(not reply.params, 'reply %r', reply.params)

    def enter(self):
        self.ns.record.mounts.append(self.pin)

    def check_nothing(self):
        """That it is not held is seen at the next settled state."""


class AddLink(Call):
    method, repeated, answered = NET, {'*'}, False

    def build(self):
        step = self.step
        self.before = set(self.record().get('netifs', []))
        self.parameters['mode'] = step['mode']
        if step['ifname']:
            self.parameters['namespaceInterfaceName'] = step['ifname']
        if step['network']:
            own = step['network'] == 'own'
            self.fds.append(self.run.world.network_of(self.handle) if own else os.open('/proc/self/ns/net', os.O_RDONLY))
            self.parameters[NFD] = 1

    def ask(self):
        return self.run.reference.add_link(self.user, self.ns, self.step['mode'], self.step['ifname'], self.step['network'])

    def finish(self):
        if self.step['network'] == 'foreign':
            os.close(self.fds[1])

    def key(self):
        return self.step['mode'], self.step['ifname']

    def happened(self):
        found = set(self.record().get('netifs', []))
        if self.key() in self.slot.hosts and self.slot.hosts[self.key()] not in found:
            del self.slot.hosts[self.key()], self.ns.record.links[self.key()]  # taken back, as it was gone before
        return bool(found - self.before)

    def check_reply(self, reply):
        names = {'hostInterfaceName'} | {'namespaceInterfaceName' if self.step['mode'] == 'veth' else 'interfaceFileDescriptor'}
        require(set(reply.params) == names, 'reply %r', reply.params)
        require(reply.params.get('namespaceInterfaceName') in (None, self.step['ifname'] or 'host0'), 'reply %r', reply.params)
        require(len(reply.fds) == (self.step['mode'] == 'tap'), '%d descriptors', len(reply.fds))
        self.handle.taps += reply.fds
        self.answered = True

    def enter(self):
        key, found = self.key(), set(self.record().get('netifs', []))
        if key not in self.ns.record.links:
            require(len(found - self.before) == 1, 'recorded links %r', found)
            self.slot.hosts[key] = (found - self.before).pop()
        # A tap whose descriptor was never received is gone, but stays recorded.
        self.ns.record.links[key] = key[0] == 'veth' or self.answered

    def check_nothing(self):
        found = set(self.record().get('netifs', []))
        require(found == self.before, 'the call failed, but there are links: %r instead of %r', found, self.before)


CALLS = dict(allocate=Allocate, register=Register, cgroup=AddCgroup, mount=AddMount, link=AddLink)
