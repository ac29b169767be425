# SPDX-License-Identifier: LGPL-2.1-or-later
"""The steps that do harm: kills of workers and of the manager, at rest and at a system call of a call, restarts, and full
disks."""
import os, select, signal, time

import tracer
from calls import CALLS, Difference, is_legal, require
from nslib import Closed
from process import PATIENCE
from steps import CHANGES


class Sent:
    """A call that is under way."""

    def __init__(self, call):
        self.call, self.connection = call, None

    def send(self):
        self.connection = self.call.run.world.connect(self.call.user)
        self.connection.send(self.call.method, self.call.parameters, self.call.fds)

    def is_answered(self):
        return bool(select.select([self.connection.s], [], [], 0)[0])

    def reply(self):
        try:
            return self.connection.recv(PATIENCE)
        except Closed:
            return None
        finally:
            self.connection.close()


def kill_at(pids, count, sent):
    """Kills that one of the processes that is the first to move, at the begin of its system call of that number. False:
    the answer came before."""
    traced = []
    try:
        for pid in pids:
            traced.append(tracer.Traced(pid))
            traced[-1].go()
        tracer.settle(traced)
        sent.send()
        return watch(traced, count, sent)
    finally:
        tracer.release(traced)


def watch(traced, count, sent):
    calls, end = 0, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for one in list(traced):
            what = one.poll()
            if what == 'end':
                traced.remove(one)  # a worker more than is needed
            if what not in ('call', 'return'):
                continue
            if len(traced) > 1:
                tracer.release([other for other in traced if other is not one])
                traced[:] = [one]
            calls += what == 'call'
            if what == 'call' and calls == count:
                tracer.finish(one)
                one.alive = False
                return True
            one.go()
            break
        if sent.is_answered() or not traced:
            return False
        time.sleep(0)
    raise Difference('no answer within %g s' % PATIENCE)


# A kill at a call
def make_kill(random, shadow):
    kind = random.choice(('allocate', 'allocate', 'register', 'cgroup', 'cgroup', 'mount', 'link', 'link'))
    steps = CHANGES[kind][0](random, shadow)
    target = steps[-1]
    whom = 'worker' if random.random() < 0.85 else 'manager'
    steps[-1] = dict(do='kill', whom=whom, at=random.randrange(1, 90 if whom == 'worker' else 25),
                     again=whom == 'worker' and random.random() < 0.5, step=target)
    if kind in ('allocate', 'register'):
        new = dict(do='new', ns=shadow.free_namespace(random), user=random.choice((0, 2001)), parent=None,
                   mapped=None, stays=False)
        if kind == 'register':
            new['mapped'] = new['user']
        target['ns'] = new['ns']
        steps = [dict(do='drop', ns=[new['ns']], taps=False), new] + steps
        shadow.made(new)
    return steps


def do_kill(run, step):
    inner = step['step']
    if inner['ns'] not in run.slots or inner['do'] == 'cgroup' and run.is_gone(inner['cgroup']):
        return
    call = CALLS[inner['do']](run, inner)
    try:
        kill(run, step, call)
    finally:
        call.finish()


def kill(run, step, call):
    service, sent = run.world.service, Sent(call)
    workers = service.quiet_workers()
    killed = kill_at(workers if step['whom'] == 'worker' else [service.pid], step['at'], sent)
    if not killed or step['whom'] == 'worker':
        reply = sent.reply()
    else:
        service.wait_for_corpse()
        reply = sent.reply()
        start(run)
    run.reference.lost += killed * 17
    if reply is not None:
        return run.conclude(call, reply)
    require(killed, 'the connection ended without a reply')
    call.slot.may_be_half = True
    if step['again']:
        repeat(run, call)
    else:
        resolve(run, call)


def repeat(run, call):
    """At once, while the repair may be under way."""
    reply = call.send()
    run.repaired()
    outcome = reply.ident() if reply else 'closed'
    if outcome == 'ok':
        require('ok' in call.legal, 'repeated: ok instead of %s', call.legal)
        call.check_reply(reply)
        return call.enter()
    if is_legal(outcome, call.repeated) and 'ok' in call.legal and call.happened():
        return call.enter()
    require(is_legal(outcome, call.legal), 'repeated after a kill: %s instead of %s', outcome,
            sorted(call.legal | call.repeated))
    call.check_nothing()


def resolve(run, call):
    """Whether it was done is for the service to say; it may not be half done."""
    run.repaired()
    if isinstance(call, CALLS['mount']):
        call.pin.certain = False
        if 'ok' in call.legal:
            call.enter()
    elif call.happened():
        require('ok' in call.legal, 'a call was carried out, but had to be refused: %s', call.legal)
        call.enter()
    else:
        call.check_nothing()


# A kill at a release
class Dropped:
    """Deaths, instead of a call: over when the records are gone."""

    def __init__(self, run, numbers):
        self.run, self.numbers = run, numbers
        self.handles = [run.slots[number].handle for number in numbers]

    def send(self):
        for number in self.numbers:
            self.run.drop(number, False)

    def is_answered(self):
        return not any(self.run.world.record_of(handle) for handle in self.handles
                       if handle.inode not in self.run.living_inodes())


def make_kill_release(random, shadow):
    chosen = shadow.drop(random, random.choice((1, 1, 2, 6)))
    whom = 'worker' if random.random() < 0.85 else 'manager'
    return [dict(do='kill_release', whom=whom, at=random.randrange(1, 120 if whom == 'worker' else 30), ns=chosen)]


def do_kill_release(run, step):
    dropped = Dropped(run, [number for number in step['ns'] if number in run.slots])
    service = run.world.service
    run.settle()  # what is due to others is done, so that it is this release that is hit
    killed = kill_at(service.quiet_workers() if step['whom'] == 'worker' else [service.pid], step['at'], dropped)
    if killed and step['whom'] == 'manager':
        service.wait_for_corpse()
        start(run)


# Kills at rest, and restarts
def make_kill_workers(random, shadow):
    return [dict(do='kill_workers')]


def do_kill_workers(run, step):
    for pid in run.world.service.workers():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    run.compare(run.world.call(0, 'org.varlink.service.GetInfo', None), {'ok'})


def make_restart(random, shadow):
    meanwhile = shadow.drop(random, random.choice((0, 0, 1, 4)))
    return [dict(do='restart', kill=random.random() < 0.5, meanwhile=meanwhile)]


def do_restart(run, step):
    run.world.service.kill() if step['kill'] else run.world.stop()
    for number in step['meanwhile']:
        if number in run.slots:
            run.drop(number, False)
    start(run)


def start(run):
    """On a full disk the service may refuse to start, but must be able to once there is room."""
    if run.world.start():
        return
    require(run.reference.full, 'the service refuses to start')
    do_free(run, None)
    require(run.world.start(), 'the service refuses to start after there is room again')


# Full disks
def make_fill(random, shadow):
    """And what happens meanwhile."""
    what = random.choice(('size', 'size', 'nr_inodes'))
    steps = [dict(do='fill', what=what, left=random.choice((0, 0, 1, 2, 3, 6)))]
    for _ in range(random.randrange(1, 7)):
        kind = random.choice(('new', 'new', 'new', 'allocate', 'cgroup', 'link', 'drop', 'look', 'mount', 'register', 'kill'))
        steps += (make_kill if kind == 'kill' else CHANGES[kind][0])(random, shadow)
    if random.random() < 0.1:
        steps += make_restart(random, shadow)
    return steps + [dict(do='free')]


def do_fill(run, step):
    run.reference.full = True
    run.world.leave_room(step['what'], step['left'])


def do_free(run, step):
    run.world.make_room()
    run.reference.full = False


FAULTS = dict(kill=(make_kill, do_kill, 4), kill_release=(make_kill_release, do_kill_release, 0.7), kill_workers=(make_kill_workers, do_kill_workers, 0.5),
              restart=(make_restart, do_restart, 0.7), fill=(make_fill, do_fill, 1), free=(None, do_free, 0))
