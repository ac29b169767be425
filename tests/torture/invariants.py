# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must hold of an instance at any time, or within a bound: plain functions, for every test with the real daemon.

check() looks at all of it and gives a list of complaints, which is empty where all is well. A complaint about what may
never be, not for a moment, is given at once; the others only when they are still true at the end of the bound."""
import collections, contextlib, json, os, re, struct, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
for room in ('conformance', 'system'):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), room))
import nslib  # noqa: E402
from process import PATIENCE, processes_about, read, state_of  # noqa: E402

# How long a record may outlive its namespace, and how much later a loaded machine may get round to it.
RELEASE_SECONDS = 1.0
# An emulated machine is slower by this.
PACE = PATIENCE / 30
SLACK_SECONDS = 8.0 * PACE
POOLS = (nslib.DYNAMIC, nslib.CONTAINER)
# See doc/architecture.md: entry 0 of the journal is its head, the bodies follow behind the states.
JOURNAL_SLOTS, JOURNAL_ENTRY = 256, 32
NS_GET_PARENT = nslib.NS_GET_PARENT


def descriptor(namespace):
    return namespace if isinstance(namespace, int) else namespace.fd


def inode_of(namespace):
    return os.fstat(descriptor(namespace)).st_ino


# ---------------------------------------------------------------- the registry
class Registry:
    """All files of the registry directory at some moment. What goes meanwhile is left out."""

    def __init__(self, runtime):
        self.top = os.path.join(runtime, 'nsresource/registry')
        self.files = {}  # path below the top -> inode number of the file
        self.texts = {}
        for place, _, names in os.walk(self.top):
            for name in names:
                self.load(os.path.relpath(os.path.join(place, name), self.top))
        self.entries = {int(match[1]): self.texts[name] for name, match in self.matching(r'i(\d+)\.userns')}
        self.delegates = {int(match[1]): self.texts[name] for name, match in self.matching(r'u(\d+)\.delegate')}

    def load(self, name):
        if name == 'lock':
            return
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.top, name)) as file:
            self.files[name] = os.fstat(file.fileno()).st_ino
            try:
                self.texts[name] = json.load(file)
            except ValueError:
                self.texts[name] = None

    def matching(self, pattern):
        found = [(name, re.fullmatch(pattern, name)) for name in self.files]
        return [(name, match) for name, match in found if match and self.texts[name] is not None]


def has_own_range(record):
    return record.get('start') is not None and not record.get('setgroupsDeny')


def names_of(inode, record):
    """The names that the file of a registration has."""
    names = ['i%d.userns' % inode, 'n%s.userns' % record['name'], 'o%d.owns/i%d.userns' % (record['owner'], inode)]
    if has_own_range(record):
        names += ['u%d.userns' % record['start'], 'g%d.userns' % record.get('startGid', record['start'])]
    return names


def whole_record_problems(registry, inode, record):
    """Of a namespace that lives: its record under each of its names, and the files of what was delegated to it."""
    found = []
    for name in names_of(inode, record):
        if name not in registry.files:
            found.append('the record of %d lacks %s' % (inode, name))
        elif registry.files[name] != registry.files['i%d.userns' % inode]:
            found.append('%s is another file than the record of %d' % (name, inode))
    for one in record.get('delegates', []):
        for name in ('u%d.delegate' % one['start'], 'g%d.delegate' % one.get('startGid', one['start'])):
            if name not in registry.files:
                found.append('the record of %d lacks %s' % (inode, name))
    return found


def stray_file_problems(registry):
    """Files that belong to no entry."""
    expected = {name for inode, record in registry.entries.items() for name in names_of(inode, record)}
    for start, record in registry.delegates.items():
        expected |= {'u%d.delegate' % start, 'g%d.delegate' % record.get('startGid', start)}
        if record['userns'] not in registry.entries:
            yield 'u%d.delegate is held by %d, which is not registered' % (start, record['userns'])
    for name in sorted(set(registry.files) - expected):
        yield 'stray file %s in the registry' % name


def map_problems(registry, namespace, must_be_registered=False):
    """Of a living namespace: ids of the pools only with a record that says the same."""
    inode = inode_of(namespace)
    uids, gids = nslib.maps(descriptor(namespace))
    record = registry.entries.get(inode)
    pooled = [one for one in uids + gids if any(low <= one[1] <= high for low, high in POOLS)]
    if record is None:
        if pooled or must_be_registered:
            return ['%d is mapped %s %s, but has no record' % (inode, uids, gids)]
        return []
    found = []
    if not pooled:
        return found
    if record.get('start') is not None:
        want = [(record.get('target', 0), record['start'], record['size'])]
        want += [(one['start'], one['start'], one['size']) for one in record.get('delegates', [])]
        for kind, lines in (('uid', uids), ('gid', gids)):
            missing = [line for line in want if line not in lines]
            # Half of the maps cannot be taken back, so the record stays then; it is the service's to say so.
            if lines and missing:
                found.append('the %s map of %d is %s, its record has %s' % (kind, inode, lines, missing))
    else:
        found.append('%d is mapped %s %s, but its record has no range' % (inode, uids, gids))
    return found


def ancestors(namespace):
    """Inode numbers of the namespaces above a namespace, as far as they can be seen."""
    found, held = [], []
    fd = descriptor(namespace)
    try:
        while True:
            fd = nslib.fcntl.ioctl(fd, NS_GET_PARENT)
            held.append(fd)
            found.append(os.fstat(fd).st_ino)
    except OSError:
        return found
    finally:
        for one in held:
            os.close(one)


def twice_problems(registry, namespaces=()):
    """No id in two registrations; but a range of an inner namespace may lie in what its outer one has delegated."""
    above = {inode_of(one): ancestors(one) for one in namespaces}
    held = [(record['start'], record['size'], inode) for inode, record in registry.entries.items()
            if has_own_range(record)]
    held.sort()
    for (start, size, inode), (other, _, other_inode) in zip(held, held[1:]):
        if start + size > other:
            yield 'the ids from %d on are of both %d and %d' % (other, inode, other_inode)
    for start, record in registry.delegates.items():
        line = [record['userns'], *record.get('ancestorUserns', [])]
        for own, size, inode in held:
            if own + size <= start or own >= start + record['size']:
                continue
            if inode in line or (inode in above and not set(above[inode]) & set(line)):
                yield 'the ids from %d on are delegated to %d, and the range of %d' % (start, record['userns'], inode)


def map_overlap_problems(namespaces):
    """The same by what the kernel says: namespaces none of which is below the other have no id in common."""
    lines = []
    for one in namespaces:
        for _, outside, count in nslib.maps(descriptor(one))[0]:
            if any(low <= outside <= high for low, high in POOLS):
                lines.append((outside, outside + count, inode_of(one), set(ancestors(one))))
    lines.sort(key=lambda line: line[:3])
    for i, (_, end, inode, above) in enumerate(lines):
        for start, _, other, others_above in lines[i + 1:]:
            if start >= end:
                break
            if inode != other and inode not in others_above and other not in above:
                yield 'the ids from %d on are mapped in both %d and %d' % (start, inode, other)


# ---------------------------------------------------------------- calls that are not finished
def journal_slots(runtime):
    """Numbers of the slots in use."""
    with contextlib.suppress(FileNotFoundError), open(os.path.join(runtime, 'nsresource/journal'), 'rb') as file:
        states = file.read(JOURNAL_SLOTS * JOURNAL_ENTRY)
        return [slot for slot in range(1, len(states) // JOURNAL_ENTRY)
                if struct.unpack_from('<I', states, slot * JOURNAL_ENTRY)[0] != 0]
    return []


def unfinished_problems(runtime):
    slots = journal_slots(runtime)
    if slots:
        yield 'the journal has slots in use: %s' % slots
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(os.path.join(runtime, 'nsresource/pending')):
            yield 'pending/%s is there' % name


def note_problems(runtime):
    """Notes of work that is left to do, and entries that could not be read."""
    top = os.path.join(runtime, 'nsresource')
    for directory in ('cgroups', 'walks', 'broken'):
        for place, _, names in os.walk(os.path.join(top, directory)):
            for name in names:
                yield 'there is %s' % os.path.relpath(os.path.join(place, name), top)


# ---------------------------------------------------------------- processes and descriptors
def workers_of(pid):
    with contextlib.suppress(OSError):
        return [int(one) for one in read('/proc/%d/task/%d/children' % (pid, pid)).split()]
    return []


def descriptors_of(pid):
    """What the descriptors of a process are, and how many of each kind; numbers in the names do not count."""
    found = collections.Counter()
    for fd in os.listdir('/proc/%d/fd' % pid):
        with contextlib.suppress(OSError):
            found[re.sub(r'\[\d+\]', '', os.readlink('/proc/%d/fd/%s' % (pid, fd)))] += 1
    return found


# What the manager has for each worker.
PIDFD = 'anon_inode:[pidfd]'
OF_A_WORKER = ('socket:', PIDFD, '/memfd:nsresource-worker (deleted)')


class Quiet:
    """What an instance has while nothing is to be done; to be made when that is so."""

    def __init__(self, pid):
        self.workers = len(workers_of(pid))
        self.descriptors = descriptors_of(pid)

    def allowed(self, workers):
        allowed = collections.Counter(self.descriptors)
        for kind in OF_A_WORKER:
            allowed[kind] += workers - self.workers
        return allowed


def process_problems(runtime, pid, quiet=None):
    workers = workers_of(pid)
    for one in workers:
        if state_of(one) == 'Z':
            yield 'process %d of the manager is dead and not waited for' % one
        for child in workers_of(one):
            yield 'worker %d has the process %d' % (one, child)
    for one in set(processes_about(runtime + '\0')) - {pid, *workers}:
        if state_of(one) not in (None, 'Z') and 'nsresource' in read_or_nothing('/proc/%d/comm' % one):
            yield 'process %d is of the instance, but not of the manager' % one
    if quiet:
        more = descriptors_of(pid) - quiet.allowed(len(workers))
        if more:
            yield 'the manager has more descriptors: %s%s' % (dict(more), watched_by(pid) if PIDFD in more else '')


def watched_by(pid):
    """The processes of its pidfds."""
    found = re.findall(r'^Pid:\s*(-?\d+)', ''.join(read_or_nothing('/proc/%d/fdinfo/%s' % (pid, fd))
                                                   for fd in os.listdir('/proc/%d/fd' % pid)), re.MULTILINE)
    return ', it watches ' + ', '.join('%s %s' % (one, read_or_nothing('/proc/%s/comm' % one).strip()) for one in found)


def read_or_nothing(path):
    try:
        return read(path)
    except OSError:
        return ''


# ---------------------------------------------------------------- links and control groups
def link_problems(registry, is_own=lambda link: True):
    """`is_own` says of a link with a name of the service whether it is of this instance, where there may be others."""
    recorded = {name for record in registry.entries.values() for name in record.get('netifs', [])}
    for link in nslib.netlink_links():
        if re.fullmatch(r'ns-[0-9a-f]{12}', link['name']) and link['name'] not in recorded and is_own(link):
            yield 'the link %s (%s) is in no record' % (link['name'], ' '.join(link['altnames']))


DELEGATED = ('', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads')


def cgroup_problems(registry, paths):
    """Of control groups that were offered to the service: recorded and given away, or neither."""
    owners = {}
    for record in registry.entries.values():
        for one in record.get('cgroups', []):
            owners.setdefault(one, []).append(record.get('start'))
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            number = os.stat(path).st_ino
            found = {os.stat(os.path.join(path, name)).st_uid for name in DELEGATED}
            pooled = [uid for uid in found if any(low <= uid <= high for low, high in POOLS)]
            if number not in owners and pooled:
                yield 'the cgroup %s is in no record, but belongs to %s' % (path, sorted(found))
            if number in owners and (len(found) != 1 or not found <= set(owners[number])):
                yield 'the cgroup %s is recorded for %s, but belongs to %s' % (path, owners[number], sorted(found))


def holders(inode):
    """Who keeps a namespace alive that the test has let go, in words."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            paths = ['/proc/%s/ns/user' % pid] + ['/proc/%s/fd/%s' % (pid, fd) for fd in os.listdir('/proc/%s/fd' % pid)]
            if any(read_link(path) == 'user:[%d]' % inode for path in paths):
                found.append('%s %s' % (pid, read_or_nothing('/proc/%s/comm' % pid).strip()))
    return ', or kept by ' + ', '.join(found) if found else ''


def read_link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ''


# ---------------------------------------------------------------- all of it
def hard_problems(runtime, namespaces):
    """What may not be at any moment. The maps are read before the records: one who finds maps must find the record."""
    for one in namespaces:
        uids, gids = nslib.maps(descriptor(one))
        if not uids and not gids:
            continue
        yield from map_problems(Registry(runtime), one)
    yield from map_overlap_problems(namespaces)


def soft_problems(runtime, pid, namespaces, registered, quiet, cgroups, is_own, may_live, may_have_notes):
    registry = Registry(runtime)
    living = {inode_of(one) for one in (*namespaces, *registered)} | set(may_live)
    for inode, record in registry.entries.items():
        if inode not in living:
            yield 'the record of %d (%s) is there, but its namespace is dead%s' % (inode, record['name'], holders(inode))
    yield from stray_file_problems(registry)
    yield from twice_problems(registry, (*namespaces, *registered))
    yield from unfinished_problems(runtime)
    if not may_have_notes:
        yield from note_problems(runtime)
    yield from link_problems(registry, is_own)
    yield from cgroup_problems(registry, cgroups)
    # What takes longest comes last.
    for one in registered:
        yield from map_problems(registry, one, must_be_registered=True)
    for one in (*namespaces, *registered):
        # While something is added, a new record takes its names one after the other.
        inode = inode_of(one)
        if inode in registry.entries:
            yield from whole_record_problems(registry, inode, registry.entries[inode])
    if pid is not None:
        yield from process_problems(runtime, pid, quiet)


def lasting(problems, bound):
    """The complaints that are still there at the end of the bound; until then one is enough to go on waiting."""
    end = time.monotonic() + bound
    while time.monotonic() < end:
        if next(iter(problems()), None) is None:
            return []
        time.sleep(0.02)
    return list(problems())


def check(runtime, pid, namespaces=(), registered=(), quiet=None, cgroups=(), is_own=lambda link: True, may_live=(),
          may_have_notes=False, slack=SLACK_SECONDS):
    """All complaints about an instance.

    `runtime` is its runtime directory, `pid` its manager or None; `namespaces` are living namespaces (descriptors, or
    objects with `fd`) that were given to it, `registered` those of which it has said that they are registered, and
    `may_live` inode numbers of others. `quiet` is a Quiet of this manager, made before anything was pinned; `cgroups`
    the paths of control groups that it was offered. `may_have_notes`: control groups may be noted as busy."""
    found = list(hard_problems(runtime, (*namespaces, *registered)))
    if found:
        return found
    return lasting(lambda: soft_problems(runtime, pid, namespaces, registered, quiet, cgroups, is_own, may_live,
                                         may_have_notes),
                   RELEASE_SECONDS + slack)


def undone_problems(runtime, namespace, reply, mapped_before=False):
    """After an error to AllocateUserRange or RegisterUserNamespace: nothing was done, at once."""
    uids, gids = nslib.maps(descriptor(namespace))
    inode = inode_of(namespace)
    if not mapped_before and uids and gids:
        yield 'the answer was %s, but %d is mapped %s' % (reply, inode, uids)
    if not mapped_before and bool(uids) != bool(gids):
        # Half a map cannot be taken back: then the record has to stay.
        yield from map_problems(Registry(runtime), namespace, must_be_registered=True)
    elif inode in Registry(runtime).entries:
        yield 'the answer was %s, but %d is registered' % (reply, inode)
