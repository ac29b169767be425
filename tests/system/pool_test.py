#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pool of workers: refilled, grown, retired, and what becomes of workers that die or hang."""
import os, shutil, signal, time

import harness
from harness import Crowd, DaemonTest, alloc, wait_until
from nslib import GETINFO, Closed, Conn, Fail, eq, maps, try_allocate, user_by_uid

LOW = 5
NEVER_READ = b'{"method":"org.varlink.service.GetInterfaceDescription",' \
             b'"parameters":{"interface":"io.systemd.NamespaceResource"}}\0'


def pipeline(connection, number):
    """Asks for far more than a socket holds, and reads none of it: a worker waits until it loses patience."""
    connection.setblocking(False)
    while True:
        connection.send(NEVER_READ * 100)  # BlockingIOError, an OSError, ends it


class Pool(DaemonTest):
    def test_starts_with_the_low_watermark(self):
        service = self.instance()
        self.assertEqual(len(service.idle_workers(LOW)), LOW)

    def test_sigusr2_adds_one(self):
        service = self.instance()
        service.idle_workers(LOW)
        for count in (LOW + 1, LOW + 2):
            service.send(signal.SIGUSR2)
            self.assertEqual(len(service.idle_workers(count)), count)

    def check_replaced(self, number, pattern):
        service = self.instance()
        victim = service.idle_workers(LOW)[0]
        os.kill(victim, number)
        wait_until(lambda: victim not in service.workers() and len(service.workers()) >= LOW, 'a new worker')
        wait_until(lambda: 'Worker %d' % victim in service.text(), 'a line in the log')
        self.assertRegex(service.text(), r'Worker %d %s' % (victim, pattern))
        with Conn(1000) as connection:
            connection.works()

    def test_killed_worker_is_replaced(self):
        self.check_replaced(signal.SIGKILL, 'was killed by signal KILL')

    def test_crashed_worker_is_replaced(self):
        self.check_replaced(signal.SIGABRT, '(crashed with|was killed by) signal ABRT')

    def test_request_that_nobody_read_is_not_lost(self):
        """The worker that it was given to dies before it has looked at it."""
        service = self.instance()
        for _ in range(10):
            victims = service.idle_workers(LOW)
            for victim in victims:
                os.kill(victim, signal.SIGSTOP)
            with Conn(1000) as connection:
                connection.send(GETINFO)
                time.sleep(0.05)  # usually enough for the manager; it must not matter
                for victim in victims:
                    os.kill(victim, signal.SIGKILL)
                eq(connection.recv().ident(), 'ok', 'the request')
                connection.works()

    def test_worker_that_is_dead_when_it_is_chosen(self):
        service = self.instance()
        for _ in range(10):
            victims = service.idle_workers(LOW)
            connections = [self.keep(Conn()) for _ in range(3)]
            service.send(signal.SIGSTOP)
            wait_until(lambda: harness.state_of(service.pid) == 'T', 'stop of the manager')
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            for connection in connections:
                connection.send(GETINFO)
            service.send(signal.SIGCONT)
            for connection in connections:
                eq(connection.recv().ident(), 'ok', 'the request')

    def test_kept_connection_outlives_its_worker(self):
        service = self.instance()
        with Conn() as connection:
            for _ in range(10):
                connection.works()
                at_rest = lambda: all(service.is_up(pid) or service.lingers(pid) for pid in service.workers())
                wait_until(at_rest, 'the end of what they do after the answer')
                for victim in service.workers():
                    os.kill(victim, signal.SIGKILL)

    def test_all_at_once(self):
        service = self.instance()
        for round in range(5):
            for victim in service.idle_workers(LOW):
                os.kill(victim, signal.SIGKILL)
            wait_until(self.is_served, 'service')

    def is_served(self):
        """A connection that was handed to a worker which is dying goes down with it; the next one must not."""
        try:
            with Conn(1000) as connection:
                connection.works()
                return True
        except (Closed, Fail, OSError):
            return False

    def test_grows_while_callers_wait(self):
        service = self.instance()
        service.idle_workers(LOW)
        self.keep(Crowd(1000, 12, pipeline))
        wait_until(lambda: len(service.workers()) > LOW, 'growth')
        with Conn(1001) as connection:
            connection.works()

    def test_one_uid_does_not_get_all(self):
        service = self.instance()
        self.keep(Crowd(1000, 60, pipeline))
        with Conn(1001) as connection:
            for _ in range(20):
                connection.works()
        self.assertLess(len(service.workers()), 40)


class WorkerProgram(DaemonTest):
    def copied(self, worker):
        """An instance whose programs lie in its scratch directory, with another worker program."""
        service = self.prepared()
        service.bin = service.path('bin')
        os.mkdir(service.bin)
        shutil.copy(harness.program('nsresourced'), service.bin)
        path = os.path.join(service.bin, 'nsresourcework')
        with open(path, 'w') as file:
            file.write(worker)
        os.chmod(path, 0o755)
        return service, path

    def test_missing(self):
        service, path = self.copied('')
        os.unlink(path)
        if any(os.access(p, os.X_OK) for p in ('/usr/libexec/nsresourcework', '/usr/local/libexec/nsresourcework')):
            self.skipTest('one is installed')
        self.assertIn('nsresourcework', service.refuses_to_start())
        self.assertEqual(service.leftovers(), [])

    def check_hopeless(self, worker, words):
        service, _ = self.copied(worker)
        service.launch()
        self.assertEqual(service.wait(60), 1)
        for word in words:
            self.assertIn(word, service.text())
        self.assertEqual(service.leftovers(), [])

    def test_fails_always(self):
        self.check_hopeless('#!/bin/sh\nexit 3\n', ['failed with exit status 3', 'No worker can live'])

    def test_dies_always(self):
        self.check_hopeless('#!/bin/sh\nkill -TERM $$\n', ['killed by signal TERM', 'No worker can live'])

    def test_cannot_be_started(self):
        self.check_hopeless('no program', ['No worker can live'])


class DeadManager(DaemonTest):
    def test_workers_go_and_the_next_one_goes_on(self):
        service = self.instance()
        keep = [self.keep(alloc(uid=uid, size=size)) for uid in (0, 1000) for size in (1, 65536)]
        lost = alloc()
        records = service.files()
        service.kill()
        lost.close()
        self.assertEqual(service.files(), records)
        service.start()
        for one in keep:
            eq(user_by_uid(one.start).params['record']['userName'], 'ns-%s-0' % one.name, 'record')
            eq(maps(one.fd)[0], one.um, 'uid_map')
            with Conn() as connection:
                eq(try_allocate(connection, name=one.name).ident(), 'NameExists', 'name of a live one')
        wait_until(lambda: user_by_uid(lost.start).ident() == 'NoRecordFound', 'release')

    def test_clean_stop_keeps_live_registrations(self):
        service = self.instance()
        one = self.keep(alloc())
        records = service.files()
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.files(), records)
        service.start()
        self.assertEqual(user_by_uid(one.start).params['record']['userName'], 'ns-%s-0' % one.name)


class Patience(DaemonTest):
    """Slow: what happens after 25 and 30 seconds."""

    def test_idle_workers_retire_and_a_hanging_one_is_killed(self):
        service = self.instance()
        for _ in range(4):
            service.send(signal.SIGUSR2)
            time.sleep(0.05)
        first = set(service.idle_workers(LOW + 4))
        hanging, asker = self.hang(service)
        with Conn(1001) as connection:
            connection.works()
        wait_until(lambda: len(service.workers()) <= LOW, 'retirement', 60)
        self.assertTrue(set(service.workers()) <= first, 'it took new ones instead of those that it had')
        wait_until(lambda: 'Worker %d has passed its deadline' % hanging in service.text(), 'end of patience', 60)
        wait_until(lambda: hanging not in service.workers() and len(service.workers()) == LOW, 'a new worker')
        try:
            self.assertEqual(asker.s.recv(1), b'', 'the connection must end')
        except ConnectionResetError:
            pass
        with Conn(1000) as connection:
            connection.works()

    def hang(self, service):
        """Stops a worker in the middle of a call: it sends to somebody who does not read."""
        asker = self.keep(Conn(1000))
        asker.works()
        before = {pid: harness.state_of(pid) for pid in service.workers()}
        asker.s.setblocking(False)
        try:
            while True:
                asker.s.send(NEVER_READ * 100)
        except BlockingIOError:
            pass
        sending = {'x86_64': 46, 'aarch64': 211}[os.uname().machine]
        polling = {'x86_64': (7, 271), 'aarch64': (73,)}[os.uname().machine]

        def busy():
            for pid in before:
                words = harness.read('/proc/%d/syscall' % pid).split()
                if words[0] in map(str, (sending, *polling)):
                    return pid
        pid = wait_until(busy, 'a busy worker')
        os.kill(pid, signal.SIGSTOP)
        asker.s.settimeout(60)
        asker.s.setblocking(True)
        while True:  # what it had sent already; the next read waits for the end of the connection
            asker.s.settimeout(1)
            try:
                if not asker.s.recv(1 << 20):
                    self.fail('the connection ended early')
            except TimeoutError:
                break
        asker.s.settimeout(60)
        return pid, asker


if __name__ == '__main__':
    harness.main()
