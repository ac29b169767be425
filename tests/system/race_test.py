#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that want the same thing at the same moment, and many that want different things."""
import json, os, time

import harness
from harness import DaemonTest, alloc, namespace
from nslib import ALLOC, CFD, CGROUP, Child, Conn, Inside, UFD, cgroup_root, eq, maps, recv_fds, send_fds
from nslib import make_userns, reg_load
from process import close_but_these

CLIENTS = 8


class Runner:
    """A process that makes one call when it is told to, and tells the outcome."""

    def __init__(self, call):
        def body(control):
            connection = Conn()
            control.send(b'x')
            while control.recv(1):
                control.send(call(connection).encode())
        self.child = Child(body)
        self.child.hello()

    def go(self):
        self.child.s.send(b'g')

    def outcome(self):
        return self.child.s.recv(200).decode()

    def close(self):
        self.child.close()


class Racer:
    """A process with a connection of its own, to which messages with descriptors can be given round after round. It
    waits for a starting shot that all hear at the same moment."""

    def __init__(self, shot):
        def body(control):
            close_but_these(control.fileno(), shot)
            connection = Conn()
            control.send(b'x')
            while True:
                text, fds = recv_fds(control)
                if not text:
                    return
                control.send(b'x')
                os.read(shot, 1)  # one byte for each racer
                send_fds(connection.s, text, fds)
                for fd in fds:
                    os.close(fd)
                control.send(connection.recv().ident().encode())
        self.child = Child(body)
        self.child.hello()

    def load(self, method, parameters, fds):
        text = json.dumps({'method': method, 'parameters': parameters}).encode() + b'\0'
        send_fds(self.child.s, text, fds)

    def is_ready(self):
        assert self.child.s.recv(1) == b'x'

    def outcome(self):
        return self.child.s.recv(200).decode()

    def close(self):
        self.child.close()


class Field:
    """Eight racers, and the pistol."""

    def __init__(self):
        shot, self.pistol = os.pipe()
        self.racers = [Racer(shot) for _ in range(CLIENTS)]
        os.close(shot)

    def run(self, calls):
        """Each call is (method, parameters, descriptors); gives the outcomes."""
        for racer, call in zip(self.racers, calls):
            racer.load(*call)
        for racer in self.racers:
            racer.is_ready()
        os.write(self.pistol, b'!' * CLIENTS)
        return [racer.outcome() for racer in self.racers]

    def close(self):
        for racer in self.racers:
            racer.close()
        os.close(self.pistol)


class Thousands(DaemonTest):
    """Of eight that want the same thing one gets it, and the others are told why not, every time."""
    LEVEL = 'none'
    ROUNDS = 200  # those that lose a name or the last range wait 250 ms to be told

    def setUp(self):
        super().setUp()
        self.service = self.instance(enforcement=self.LEVEL)
        self.field = self.keep(Field())
        self.targets = []

    def fresh(self):
        return self.keep(namespace())

    def one_wins(self, outcomes, refusals):
        self.assertEqual(outcomes.count('ok'), 1, outcomes)
        self.assertLessEqual(set(outcomes) - {'ok'}, refusals)
        return outcomes.index('ok')

    def allocation(self, name, fd):
        return ALLOC, {'name': name, 'size': 65536, UFD: 0}, [fd]

    def test_name(self):
        targets = [self.fresh() for _ in range(CLIENTS)]
        for number in range(self.ROUNDS):
            outcomes = self.field.run([self.allocation('n%d' % number, target.fd) for target in targets])
            winner = self.one_wins(outcomes, {'NameExists'})
            self.assertEqual(reg_load('nn%d.userns' % number)['userns'], targets[winner].inode)
            targets[winner].close()
            targets[winner] = self.fresh()
        for target in targets:
            eq(maps(target.fd), ([], []), 'maps of those that lost')
            target.close()
        self.service.wait_empty()

    def test_namespace(self):
        for number in range(self.ROUNDS):
            target = self.fresh()
            outcomes = self.field.run([self.allocation('s%d-%d' % (number, i), target.fd) for i in range(CLIENTS)])
            winner = self.one_wins(outcomes, {'UserNamespaceExists', 'InvalidParameter:' + UFD})
            names = [name for name in os.listdir(self.service.registry) if name.startswith('ns%d-' % number)]
            self.assertEqual(names, ['ns%d-%d.userns' % (number, winner)])
            target.close()
        self.service.wait_empty()

    def test_cgroup(self):
        each, root = 16, cgroup_root()
        made = []
        for number in range(self.ROUNDS):
            if number % each == 0:
                target = self.keep(alloc())
            path = os.path.join(root, 'nsr-race-%d-%d' % (os.getpid(), number))
            os.mkdir(path)
            made.append(path)
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            outcomes = self.field.run([(CGROUP, {UFD: 0, CFD: 1}, [target.fd, directory])] * CLIENTS)
            self.one_wins(outcomes, {'ControlGroupAlreadyAdded'})
            status = os.fstat(directory)
            self.assertEqual((status.st_uid, status.st_gid), (target.start, target.start))
            self.assertEqual(reg_load('i%d.userns' % target.inode)['cgroups'][number % each:], [status.st_ino])
            os.close(directory)
            if number % each == each - 1:
                target.close()
        target.close()
        self.service.wait_empty()
        self.assertEqual([path for path in made if os.path.exists(path)], [])

    def test_last_range(self):
        parent = self.keep(alloc(name='parent', delegateContainerRanges=1))
        (_, last, _), = parent.um[1:]
        targets = [make_userns(0, parent=parent.fd) for _ in range(CLIENTS)]
        rounds = 0
        give_up = time.monotonic() + 200
        while rounds < self.ROUNDS:
            self.assertLess(time.monotonic(), give_up, 'the range does not come back')
            outcomes = self.field.run([self.allocation('l%d-%d' % (rounds, i), target)
                                       for i, target in enumerate(targets)])
            if set(outcomes) == {'NoDynamicRange'}:
                time.sleep(0.001)  # the kernel frees a namespace a moment after its last descriptor is closed
                continue
            winner = self.one_wins(outcomes, {'NoDynamicRange'})
            self.assertEqual(reg_load('u%d.userns' % last)['name'], 'l%d-%d' % (rounds, winner))
            os.close(targets[winner])
            targets[winner] = make_userns(0, parent=parent.fd)
            rounds += 1
        for target in targets:
            eq(maps(target), ([], []), 'maps of those that lost')
            os.close(target)
        parent.close()
        self.service.wait_empty()


class ThousandsInQuarantine(Thousands):
    LEVEL = 'quarantine'
    ROUNDS = 25


class Races(DaemonTest):
    LEVEL = 'none'
    ROUNDS = 40

    def race(self, calls):
        """Runs each call in a process of its own, at the same time; gives all outcomes."""
        runners = [self.keep(Runner(call)) for call in calls]
        for runner in runners:
            runner.go()
        outcomes = [runner.outcome() for runner in runners]
        for runner in runners:
            runner.close()
        return outcomes

    def call(self, name, target):
        return lambda connection: connection.call(ALLOC, {'name': name, 'size': 65536, UFD: 0}, [target.fd]).ident()

    def test_same_name_and_namespace(self):
        self.instance(enforcement=self.LEVEL)
        for number in range(self.ROUNDS):
            target = namespace()
            outcomes = self.race([self.call('b%d' % number, target)] * CLIENTS)
            self.assertEqual(outcomes.count('ok'), 1, outcomes)
            target.close()

    def test_many_at_once_are_disjoint(self):
        service = self.instance(enforcement=self.LEVEL)
        each = 25
        targets = [[self.keep(namespace()) for _ in range(each)] for _ in range(CLIENTS)]

        def calls(number):
            def work(connection):
                for i, target in enumerate(targets[number]):
                    outcome = self.call('m%d-%d' % (number, i), target)(connection)
                    if outcome != 'ok':
                        return outcome
                return 'ok'
            return work
        self.assertEqual(self.race([calls(number) for number in range(CLIENTS)]), ['ok'] * CLIENTS)
        lines = [maps(target.fd) for group in targets for target in group]
        for uids, gids in lines:
            self.assertEqual(uids, gids)
            self.assertEqual([(inside, size) for inside, _, size in uids], [(0, 65536)])
        starts = [uids[0][1] for uids, _ in lines]
        self.assertEqual(len(set(starts)), CLIENTS * each)
        self.assertEqual(sorted('u%d.userns' % start for start in starts),
                         sorted(file for file in service.files() if file.startswith('u')))

    def test_caller_writes_a_map_itself_meanwhile(self):
        """Whoever comes first: ids of a pool are never in a namespace without a record."""
        service = self.instance(enforcement=self.LEVEL)
        for number in range(self.ROUNDS):
            target = namespace()
            with Inside(target.fd) as inside:
                def write(connection, pid=inside.pid):
                    try:
                        with open('/proc/%d/gid_map' % pid, 'w') as file:
                            file.write('0 1000 1')
                        return 'ok'
                    except OSError:
                        return 'refused'
                outcome, _ = self.race([self.call('w%d' % number, target), write])
                uids, gids = inside.map('uid_map'), inside.map('gid_map')
            pooled = [line for line in uids + gids if line[1] >= 524288]
            recorded = 'i%d.userns' % target.inode in service.files()
            if outcome == 'ok':
                eq(uids, gids, 'maps')
            if pooled:
                self.assertTrue(recorded, 'ids without a record: %r %r' % (uids, gids))
            target.close()
        service.wait_empty()


class RacesInQuarantine(Races):
    LEVEL = 'quarantine'
    ROUNDS = 10


if __name__ == '__main__':
    harness.main()
