# SPDX-License-Identifier: LGPL-2.1-or-later
"""How one case is carried out in each phase of the service's life. Each function gives complaints."""
import contextlib, fcntl, os, shutil, signal, threading, time

import invariants, nslib
from injection import Fault
from targets import CALLS, RELEASES, Allocation, Full

# A call that met a dead one's remains may be refused for as long as these are being taken back.
AGAIN_SECONDS = 5 * invariants.PACE
# Format and epoch, see src/ranges/bit_file.h.
BIT_FILE_HEAD = 16
HIT_SECONDS = invariants.PACE


class Result:
    def __init__(self):
        self.problems, self.hits, self.outcome, self.trace = [], [], None, {}


def warm_up(rig, kind, name):
    """The worker that was busy last is the next one, too: it then has loaded what is loaded once."""
    if name in rig.warm:
        return
    subject = kind()
    subject.prepare(rig)
    if hasattr(subject, 'call'):
        rig.ask(subject.call())
    end(rig, subject)
    rig.settle()
    rig.warm.add(name)


def end(rig, *subjects, quiet=True):
    """Death of all namespaces of a case; complaints about what stays of them."""
    for one in subjects:
        one.close()
    found = rig.check(subjects, quiet)
    for one in subjects:
        found += one.after_death()
        one.remove()
    if any(one.NOTES for one in subjects):
        found += invariants.lasting(lambda: invariants.note_problems(rig.runtime), invariants.SLACK_SECONDS)
    nslib.reap_children()
    nslib.CHILDREN.clear()
    return found


def judge(rig, subject, outcome):
    """What must be there after this answer, and after the same call once more."""
    state = subject.state(rig)
    found = []
    if outcome == 'hang':
        found.append('no answer')
    elif outcome == 'ok' and state not in ('whole', 'any'):
        found.append('the answer was ok, and there is %s' % state)
    elif outcome not in ('ok', 'closed', 'hang') and state == 'whole':
        found.append('the answer was %s, and it was done' % outcome)
    # What a dead worker left, or one that could not undo, is repaired within the bound.
    found += rig.check([subject])
    state = subject.state(rig)
    if state not in ('nothing', 'half', 'whole', 'any'):
        return found + ['after %s: %s' % (outcome, state)]
    if outcome not in ('ok', 'closed') and state in ('whole', 'half') and not found:
        found += half_problems(rig, outcome, state)
    if outcome == 'ok' and state == 'nothing':
        found.append('the answer was ok, and there is nothing left of it')
    return found + ask_again(rig, subject, state)


def half_problems(rig, outcome, state):
    """Half a map cannot be taken back: it may stay if the log says so."""
    if state == 'half' and 'map' in rig.said():
        return []
    return ['the answer was %s, and what is there is %s' % (outcome, state)]


def ask_again(rig, subject, state):
    if state == 'half':
        return []
    end_of_patience = time.monotonic() + AGAIN_SECONDS
    wanted = subject.EXISTS if state == 'whole' else ('ok',)
    while True:
        outcome = rig.ask(subject.call())
        if outcome in wanted or (state == 'any' and outcome == 'ok'):
            break
        if time.monotonic() > end_of_patience or not rig.runs():
            return ['the same call again, with %s there: %s' % (state, outcome)]
        time.sleep(0.02)
    found = rig.check([subject])
    state = subject.state(rig)
    if state not in ('whole', 'any'):
        found.append('after the same call again: %s' % state)
    subject.was_added = True
    return found


def survive(rig, result, fault):
    """The manager must not end but by a kill. What fails again and again does so for a moment only, or else the workers
    would all end, which is too much for any manager."""
    rig.settle(0.15 if fault.action.startswith('sticky') else 2 * invariants.PACE)
    if rig.injector:
        result.hits = list(rig.injector.poll())
    if rig.runs():
        result.trace = rig.injector.disarm()
        return
    status = rig.revive()
    if not fault.action.startswith('kill') or fault.role != 'manager':
        result.problems.append('the manager has ended, with status %s' % status)


def call(rig, name, fault):
    """A fault while one call is served."""
    result, subject = Result(), CALLS[name]()
    warm_up(rig, CALLS[name], name)
    subject.prepare(rig)
    rig.settle()
    rig.injector.arm(fault)
    result.outcome = rig.ask(subject.call(), fault)
    survive(rig, result, fault)
    result.problems += judge(rig, subject, result.outcome)
    result.problems += end(rig, subject)
    return result


def refill(rig, name, fault):
    """The same where no range is marked ahead, so that the worker has to do so, and others after it."""
    with contextlib.suppress(FileNotFoundError), open(os.path.join(rig.runtime, 'nsresource/fresh'), 'r+b') as file:
        file.seek(BIT_FILE_HEAD)
        file.write(bytes(os.fstat(file.fileno()).st_size - BIT_FILE_HEAD))
    return call(rig, name, fault)


def repeat(rig, name, fault, locked=False):
    """A worker dies in a call, and the client asks once more at once; perhaps while a stranger has the registry's
    lock, so that the new call and the repair of the first meet at it."""
    result, subject = Result(), CALLS[name]()
    warm_up(rig, CALLS[name], name)
    subject.prepare(rig)
    rig.settle()
    first, second = rig.connect(), rig.connect()
    rig.settle()
    rig.injector.arm(Fault(fault.role, fault.call, 'hold'))
    first.send(*subject.call())
    result.hits = list(rig.injector.wait_for_hit(HIT_SECONDS))
    with stranger(rig) if locked else contextlib.nullcontext():
        for hit in result.hits:
            os.kill(hit[1], signal.SIGKILL)
        first_outcome = rig.reply(first)
        if first_outcome == 'closed':
            second.send(*subject.call())
    rig.injector.disarm()
    result.outcome = rig.reply(second) if first_outcome == 'closed' else first_outcome
    first.close()
    second.close()
    rig.settle(2 * invariants.PACE)
    result.problems += judge_repeated(rig, subject, first_outcome, result.outcome)
    result.problems += end(rig, subject)
    return result


def judge_repeated(rig, subject, first, second):
    if first == 'closed' and second not in ('ok', 'closed', 'hang'):
        # It met what the dead one left; that is whole, or taken back.
        found = rig.check([subject])
        state = subject.state(rig)
        if state not in ('nothing', 'half', 'whole', 'any'):
            return found + ['after %s: %s' % (second, state)]
        return found + ask_again(rig, subject, state)
    return judge(rig, subject, second)


@contextlib.contextmanager
def stranger(rig):
    """The registry's lock is somebody else's from the end of the worker on, for a while after the new call."""
    lock = os.open(os.path.join(rig.instance.registry, 'lock'), os.O_RDWR | os.O_CLOEXEC)
    waiting = threading.Thread(target=lambda: fcntl.flock(lock, fcntl.LOCK_EX))
    waiting.start()
    time.sleep(0.02)
    try:
        yield
        time.sleep(0.2)
    finally:
        waiting.join()
        os.close(lock)


def repair(rig, name, fault):
    """NAME@CALL: a worker dies at CALL, and the fault meets what repairs that."""
    kind, _, first = name.partition('@')
    result, subject = Result(), CALLS[kind]()
    warm_up(rig, CALLS[kind], kind)
    subject.prepare(rig)
    rig.settle()
    rig.injector.arm(Fault('worker', first, 'hold'))
    connection = rig.connect()
    rig.settle(0.05 * invariants.PACE)
    connection.send(*subject.call())
    held = list(rig.injector.wait_for_hit(HIT_SECONDS))
    rig.injector.arm(fault)
    for hit in held:
        os.kill(hit[1], signal.SIGKILL)
    result.outcome = rig.reply(connection)
    connection.close()
    survive(rig, result, fault)
    result.problems += judge(rig, subject, result.outcome)
    result.problems += end(rig, subject)
    return result


def release(rig, name, fault):
    """A fault while what a dead namespace had is released."""
    result, subject = Result(), RELEASES[name]()
    subject.prepare(rig)
    if name in CALLS:
        rig.ask(subject.call())
    rig.settle()
    rig.injector.arm(fault)
    subject.close()
    invariants.lasting(lambda: invariants.Registry(rig.runtime).files, 1.5 * invariants.PACE)
    survive(rig, result, fault)
    result.problems += end(rig, subject)
    return result


def start(rig, name, fault):
    """A fault while the service starts: with nothing there, with a living and a dead namespace, or with a call that was
    not finished when all its processes died."""
    result, living, dead = Result(), None, None
    subjects = []
    if name != 'empty':
        living, dead = Full(), Full()
        for one in (living, dead):
            one.prepare(rig)
        subjects = [living, dead]
    if name == 'crash':
        subjects.append(crash(rig))
    rig.kill()
    if dead:
        dead.close()
    rig.launch(fault)
    up = rig.comes_up()
    survive_start(rig, result, up)
    if living:
        result.problems += living.living_problems(rig)
    result.problems += rig.check(subjects)
    result.problems += end(rig, *subjects)
    return result


def crash(rig):
    """An allocation in the midst of which the manager and its workers are killed."""
    half = Allocation()
    half.prepare(rig)
    rig.settle()
    rig.injector.arm(Fault('worker', 'flock.1', 'hold'))
    with nslib.Conn() as connection:
        connection.send(*half.call())
        rig.injector.wait_for_hit(HIT_SECONDS)
    return half


def survive_start(rig, result, up):
    if up:
        rig.settle(2 * invariants.PACE)
    result.hits = list(rig.injector.poll())
    if up and rig.runs():
        result.trace = rig.injector.disarm()
        return
    result.outcome = 'not up'
    if rig.runs():
        result.problems.append('it neither starts nor ends')
        rig.kill()
    else:
        rig.buried()
    rig.start()


def stop(rig, name, fault):
    """A fault while the service stops."""
    result, subject = Result(), Full()
    subject.prepare(rig)
    rig.settle()
    rig.injector.arm(fault)
    os.kill(rig.instance.pid, signal.SIGTERM)
    end_of_patience = time.monotonic() + 15 * invariants.PACE
    while rig.runs() and time.monotonic() < end_of_patience:
        rig.injector.poll()
        rig.instance.take_notes()
        time.sleep(0.002)
    result.hits = list(rig.injector.poll())
    if rig.runs():
        result.problems.append('it does not stop')
        rig.kill()
    result.trace = rig.injector.disarm()
    result.outcome = 'status %s' % rig.buried()
    rig.start()
    result.problems += subject.living_problems(rig)
    result.problems += rig.check([subject])
    result.problems += end(rig, subject)
    return result


def full_disk(rig, name, room, fill):
    """The runtime directory has no more room than that: one call, and the death of its namespace, while it is full."""
    result, subject = Result(), CALLS[name]()
    subject.prepare(rig)
    rig.settle()
    filler = os.path.join(rig.runtime, 'filler')
    fill(rig.runtime, filler, room)
    try:
        result.outcome = rig.ask(subject.call())
        state = subject.state(rig)
        if (result.outcome == 'ok') != (state in ('whole', 'any')) and state != 'any':
            result.problems.append('full: the answer was %s, and there is %s' % (result.outcome, state))
        if result.outcome == 'hang':
            result.problems.append('full: no answer')
        result.problems += list(invariants.hard_problems(rig.runtime, subject.living()))
    finally:
        shutil.rmtree(filler)
    rig.settle(2 * invariants.PACE)
    if not rig.runs():
        result.problems.append('the manager has ended, with status %s' % rig.revive())
    result.problems += judge(rig, subject, result.outcome)
    result.problems += end(rig, subject)
    return result


def fill_inodes(runtime, filler, room):
    os.mkdir(filler)
    number = 0
    while os.statvfs(runtime).f_ffree > room:
        os.close(os.open('%s/%d' % (filler, number), os.O_WRONLY | os.O_CREAT))
        number += 1


def fill_pages(runtime, filler, room):
    os.mkdir(filler)
    with contextlib.suppress(OSError), open(filler + '/all', 'wb', buffering=0) as file:
        while True:
            file.write(bytes(4096))
    size = os.path.getsize(filler + '/all')
    os.truncate(filler + '/all', max(size - 4096 * room, 0))


DISKS = {'inodes': fill_inodes, 'pages': fill_pages}
PHASES = {'call': call, 'refill': refill, 'repair': repair, 'release': release, 'start': start, 'stop': stop,
          'repeat': repeat, 'locked': lambda rig, name, fault: repeat(rig, name, fault, locked=True)}


def carry_out(rig, phase, name, fault_or_room):
    if phase in DISKS:
        return full_disk(rig, name, fault_or_room, DISKS[phase])
    return PHASES[phase](rig, name, fault_or_room)
