#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that want the same thing at the same moment, and many that want different things."""
import harness
from harness import DaemonTest, namespace
from nslib import ALLOC, Child, Conn, Inside, UFD, eq, maps

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

    def test_same_name(self):
        service = self.instance(enforcement=self.LEVEL)
        for number in range(self.ROUNDS):
            targets = [namespace() for _ in range(CLIENTS)]
            outcomes = self.race([self.call('n%d' % number, target) for target in targets])
            self.assertEqual(sorted(outcomes), ['NameExists'] * (CLIENTS - 1) + ['ok'])
            for target, outcome in zip(targets, outcomes):
                eq(bool(maps(target.fd)[0]), outcome == 'ok', 'has maps')
                target.close()
        service.wait_empty()

    def test_same_namespace(self):
        service = self.instance(enforcement=self.LEVEL)
        for number in range(self.ROUNDS):
            target = namespace()
            outcomes = self.race([self.call('s%d-%d' % (number, i), target) for i in range(CLIENTS)])
            self.assertEqual(outcomes.count('ok'), 1, outcomes)
            self.assertLessEqual(set(outcomes), {'ok', 'UserNamespaceExists', 'InvalidParameter:' + UFD})
            names = [file for file in service.files() if file.startswith('ns%d-' % number)]
            self.assertEqual(len(names), 1, names)
            target.close()
        service.wait_empty()

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
