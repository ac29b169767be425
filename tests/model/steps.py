# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kinds of step: how each is made up, how it is carried out, and what is compared. A step is plain data, and names
namespaces and cgroups by numbers; one whose namespace or cgroup is not there is passed over, so that any may be left out
of a sequence."""
from calls import CALLS, require
from nslib import GETGROUP, GETUSER, MEMBERSHIPS, SERVICE
from reference import Namespace

USERS = (0, 2001, 2002, 2003)
# Some are asked for by many, and some are unfit.
CONTESTED = ('a', 'b', 'web', 'db-1', '_', 'x' * 16)
UNFIT = ('x' * 18, 'y' * 22, 'y' * 23, '', '(cat)929', 'a.b', 'é')
IFNAMES = (None, 'e0', 'e1', 'eth-long-name0')
NAMESPACES, CGROUPS = 24, 30


# Namespaces
def make_new(random, shadow):
    number = shadow.free_namespace(random)
    parent = shadow.parent(random) if random.random() < 0.25 else None
    user = random.choice(USERS)
    mapped = None if parent is not None or random.random() < 0.85 else random.choice((user, user, random.choice(USERS)))
    new = dict(do='new', ns=number, user=user, parent=parent, mapped=mapped, stays=random.random() < 0.1)
    steps = [dict(do='drop', ns=[number], taps=False)] if shadow.has(number) else []
    shadow.made(new)
    call = make_register if mapped is not None else make_allocate
    return steps + [new] + (call(random, shadow, number) if random.random() < 0.9 else [])


def do_new(run, step):
    parent = run.slots.get(step['parent']) if step['parent'] is not None else None
    if step['ns'] in run.slots or step['parent'] is not None and not parent:
        return
    above = parent and parent.ns
    if above and not (above.record and above.record.start is not None and above.record.target == 0 and not parent.half):
        return  # nobody could be root there
    owner = above.record.start if above else step['user']
    handle = run.world.new_namespace(step['user'], parent and parent.handle, step['mapped'], step['stays'])
    run.hold(step['ns'], Namespace(owner, above, step['mapped']), handle)


def make_drop(random, shadow):
    count = random.choice((1, 1, 1, 1, 2, 5, 12))
    return [dict(do='drop', ns=shadow.drop(random, count), taps=random.random() < 0.3)]


def do_drop(run, step):
    for number in step['ns']:
        if number in run.slots:
            run.drop(number, step['taps'])


# Calls
def caller(random):
    return 'owner' if random.random() < 0.88 else random.choice(USERS)


def a_name(random, number):
    """With mangleName or not."""
    draw = random.random()
    if draw < 0.15:
        return dict(name=random.choice(UNFIT), mangle=random.random() < 0.7)
    return dict(name='n%d' % number if draw < 0.65 else random.choice(CONTESTED), mangle=random.random() < 0.3)


def make_allocate(random, shadow, number=None):
    own = random.random() < 0.12
    size = 1 if own else random.choice((65536, 65536, 65536, 1))
    delegates = random.choice((None, None, None, None, 1, 2, 3, 16))
    target = random.choice((None, None, None, None, 0, 1000, 65536))
    if random.random() < 0.06:
        size, target, delegates = random.choice((
            (size + 1, target, delegates), (0, target, delegates), (size, 4294967294, delegates), (size, target, 17)))
    if number is None:
        number = shadow.any_namespace(random)
    step = dict(a_name(random, number), do='allocate', ns=number, size=size, target=target, own=own, delegates=delegates)
    step['as'] = caller(random)
    shadow.allocated(step)
    return [step]


def make_register(random, shadow, number=None):
    if number is None:
        number = shadow.any_namespace(random)
    step = dict(a_name(random, number), do='register', ns=number)
    step['as'] = caller(random)
    shadow.registered(step)
    return [step]


def make_cgroup(random, shadow):
    """Now and then as many as there may be, and one more."""
    number, by = shadow.registration(random), caller(random)
    first, count = random.randrange(CGROUPS), random.choice((1,) * 12 + (17,))
    steps = []
    for cgroup in range(first, first + count):
        if random.random() < 0.7 or count > 1:
            owner = 0 if by == 0 else 'ns' if random.random() < 0.9 else random.choice(USERS)
            steps.append(dict(do='new_cgroup', cgroup=cgroup % CGROUPS, owner=owner, ns=number, busy=random.random() < 0.15))
        steps.append({'do': 'cgroup', 'ns': number, 'cgroup': cgroup % CGROUPS, 'as': by})
    return steps


def do_new_cgroup(run, step):
    """In the place of the one that had the number, if that is gone."""
    number, old = step['cgroup'], run.cgroups.get(step['cgroup'])
    if old and not old.gone or run.world.cgroup_owners(number):
        return
    owner = step['owner']
    if owner == 'ns':
        owner = run.slots[step['ns']].ns.owner if step['ns'] in run.slots else 0
    run.new_cgroup(number, owner, step['busy'])


def make_idle(random, shadow):
    return [dict(do='idle', cgroup=random.randrange(CGROUPS))]


def do_idle(run, step):
    if step['cgroup'] in run.cgroups:
        run.end_process(step['cgroup'])


def make_mount(random, shadow):
    return [{'do': 'mount', 'ns': shadow.registration(random), 'as': 0 if random.random() < 0.8 else 'owner'}]


def make_link(random, shadow):
    step = {'do': 'link', 'ns': shadow.registration(random), 'as': caller(random)}
    mode = random.choice(('veth', 'veth', 'veth', 'tap'))
    ifname = random.choice(IFNAMES) if mode == 'veth' else None
    network = 'own' if mode == 'veth' else None
    if random.random() < 0.08:
        mode, ifname, network = random.choice((
            ('veth', ifname, None), ('veth', ifname, 'foreign'), ('tap', None, 'own'), ('tap', 'e0', None), ('x', None, 'own')))
    names = ['v%d' % i for i in range(17)] if mode == 'veth' and random.random() < 0.02 else [ifname]
    return [dict(step, mode=mode, ifname=name, network=network) for name in names]


def make_close_taps(random, shadow):
    return [dict(do='close_taps', ns=shadow.registration(random))]


def do_close_taps(run, step):
    if step['ns'] in run.slots:
        run.close_taps(run.slots[step['ns']])


def do_call(run, step):
    if step['ns'] not in run.slots or step['do'] == 'cgroup' and run.is_gone(step['cgroup']):
        return
    run.perform(CALLS[step['do']](run, step))


# Look-ups
def make_look(random, shadow):
    return [dict(do='look', ns=shadow.registration(random), what=random.choice(('user', 'user', 'group', 'members')),
                 by=random.choice(('name', 'id', 'both', 'conflict', 'nothing', 'delegate')),
                 offset=random.choice((0, 0, 1, 1000, 65535, 65536)))]


def do_look(run, step):
    """For what the namespace of that number has, or the last one of that number had."""
    last = run.last.get(step['ns'])
    if not last:
        return
    name, number = 'ns-%s-%d' % (last.name, step['offset']), (last.start or 0) + step['offset']
    if step['by'] == 'delegate' and last.delegates:
        number = last.delegates[0] + step['offset']
    if step['by'] == 'conflict':
        number += 1
    asked_name = name if step['by'] in ('name', 'both', 'conflict') else None
    asked_number = number if step['by'] in ('id', 'both', 'conflict', 'delegate') else None
    if step['what'] == 'members':
        reply = run.world.call(2001, MEMBERSHIPS, {'service': SERVICE, 'userName': name})
        return run.compare(reply, {'NoRecordFound'})
    user = step['what'] == 'user'
    parameters = {'service': SERVICE}
    if asked_name:
        parameters['userName' if user else 'groupName'] = asked_name
    if asked_number is not None:
        parameters['uid' if user else 'gid'] = asked_number
    reply = run.world.call(2001, GETUSER if user else GETGROUP, parameters)
    legal = [outcome_of(hit, user, asked_number) for hit in run.reference.find(asked_name, asked_number)] \
        if len(parameters) > 1 else ['EnumerationNotSupported']
    if asked_number == 65535:
        legal = ['InvalidParameter:' + ('uid' if user else 'gid')]
    found = reply and (reply.params.get('record') if reply.error is None else reply.ident())
    require(found in legal, 'look-up of %r: %r instead of %s', parameters, found, ' or '.join(map(repr, legal)))


def outcome_of(hit, user, asked_number):
    """Of a look-up that finds so much: the record, or the name of the error."""
    if not hit:
        return 'NoRecordFound'
    record, offset = hit
    number = record.start + offset
    if asked_number not in (None, number):
        return 'ConflictingRecordFound'
    kind = 'User' if user else 'Group'
    title = ('' if record.size == 1 else '%s %d of ' % (kind, offset)) + 'Allocated Namespace ' + record.name
    common = dict(service=SERVICE, disposition='dynamic' if record.size == 1 else 'container')
    name = 'ns-%s-%d' % (record.name, offset)
    if not user:
        return dict(common, groupName=name, gid=number, description=title)
    return dict(common, userName=name, uid=number, gid=65534, realName=title, homeDirectory='/',
                shell='/usr/sbin/nologin', locked=True)


# Many
def make_crowd(random, shadow):
    """One user comes to the limit of registrations, or nearly so, and then goes on as always."""
    user = random.choice(USERS)
    steps = [dict(do='crowd', user=user, left=random.choice((0, 0, 1)))]
    for _ in range(4):
        number = shadow.free_namespace(random)
        new = dict(do='new', ns=number, user=user, parent=None, mapped=None, stays=False)
        shadow.made(new)
        steps += [dict(do='drop', ns=[number], taps=False), new]
        steps += make_allocate(random, shadow, number)
    return steps + [dict(do='scatter', left=random.choice((0, 1)))] + steps[2:4]


def do_crowd(run, step):
    """They map the user alone, for that takes nothing from a pool."""
    if run.reference.full:
        return
    run.settle()
    while run.reference.room(step['user'], run.reference.records()) > step['left']:
        number = 1000 + len(run.crowd)
        run.crowd.append(number)
        do_new(run, dict(ns=number, user=step['user'], parent=None, mapped=None, stays=False))
        do_call(run, {'do': 'allocate', 'ns': number, 'as': 'owner', 'name': 'crowd%d' % number, 'mangle': False, 'size': 1,
                      'target': None, 'own': True, 'delegates': None})


def make_scatter(random, shadow):
    return []


def do_scatter(run, step):
    while len(run.crowd) > step['left']:
        run.drop(run.crowd.pop(), False)


def make_settle(random, shadow):
    return [dict(do='settle')]


def do_settle(run, step):
    run.settle()


CHANGES = dict(new=(make_new, do_new, 24), drop=(make_drop, do_drop, 7), allocate=(make_allocate, do_call, 6),
               register=(make_register, do_call, 3), cgroup=(make_cgroup, do_call, 8), new_cgroup=(None, do_new_cgroup, 0),
               idle=(make_idle, do_idle, 3), mount=(make_mount, do_call, 3), link=(make_link, do_call, 6),
               close_taps=(make_close_taps, do_close_taps, 1), look=(make_look, do_look, 25), crowd=(make_crowd, do_crowd, 0.1),
               scatter=(make_scatter, do_scatter, 0), settle=(make_settle, do_settle, 3))
