#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One uid cannot use up what another one needs, whatever it does."""
import os, resource, socket, time

import harness, process
from harness import Crowd, DaemonTest, alloc
from nslib import Conn

HALF = b'{"method":"org.varlink.service.GetInfo"'
WHOLE = HALF + b'}\0'
DESCRIPTION = b'{"method":"org.varlink.service.GetInterfaceDescription",' \
              b'"parameters":{"interface":"io.systemd.NamespaceResource"}}\0'
MANY = 500


def half_message(connection, number):
    connection.send(HALF)


def half_message_with_descriptors(connection, number):
    socket.send_fds(connection, [HALF], [0, 0, 0])


def half_long_message(connection, number):
    connection.setblocking(False)
    connection.send(HALF + b' ' * 100000)


def urgent_byte(connection, number):
    connection.send(b'x', socket.MSG_OOB)


def urgent_in_the_middle(connection, number):
    connection.send(HALF)
    connection.send(b'}', socket.MSG_OOB)


def garbage(connection, number):
    connection.send(os.urandom(1000) + b'\0')


def thousands_of_requests(connection, number):
    connection.setblocking(False)
    for _ in range(5000):
        connection.send(WHOLE)


def never_read(connection, number):
    connection.setblocking(False)
    while True:
        connection.send(DESCRIPTION * 100)


class Fairness(DaemonTest):
    def check_served(self):
        """Both a look-up and the main job, for another uid."""
        with Conn(1001) as connection:
            for _ in range(20):
                connection.works()
        alloc(uid=1001).close()

    def check_crowd(self, act, count=MANY, **settings):
        service = self.instance(**settings)
        self.keep(Crowd(1000, count, act))
        self.check_served()
        return service

    def check_rests(self, service):
        """The manager has nothing to do with those who say nothing: it may look at a clock, but must not spin."""
        service.quiet_workers()
        before, begin = process.cpu_seconds(service.pid), time.monotonic()
        time.sleep(2)
        used = process.cpu_seconds(service.pid) - before
        self.assertLess(used, 0.25 * (time.monotonic() - begin), 'the manager spins')

    def test_idle_connections(self):
        service = self.check_crowd(None)
        self.check_rests(service)
        self.assertLess(len(service.workers()), 10, 'idle connections took workers')

    def test_half_messages(self):
        service = self.check_crowd(half_message)
        self.check_rests(service)
        self.assertLess(len(service.workers()), 10, 'half messages took workers')

    def test_half_messages_with_descriptors(self):
        self.check_rests(self.check_crowd(half_message_with_descriptors))

    def test_half_messages_of_clients_that_are_gone(self):
        """They are let go at once: what is on its way in them counts against their uid."""
        service = self.instance()
        before = service.descriptors()[0]
        crowd = Crowd(1000, 100, half_message_with_descriptors)
        process.wait_until(lambda: service.descriptors()[0] >= before + 100, 'connections')
        crowd.close()
        # Half of what a message may take to be whole.
        process.wait_until(lambda: service.descriptors()[0] <= before, 'end of them', 5)

    def test_half_long_messages(self):
        self.check_crowd(half_long_message, 60)

    def test_urgent_bytes(self):
        self.check_rests(self.check_crowd(urgent_byte, 50))
        self.check_rests(self.check_crowd(urgent_in_the_middle, 50))

    def test_garbage(self):
        self.check_crowd(garbage)

    def test_thousands_of_requests(self):
        self.check_crowd(thousands_of_requests, 20)

    def test_answers_that_nobody_reads(self):
        self.check_crowd(never_read, 40)

    def test_several_uids_that_do_not_read(self):
        service = self.instance()
        for uid in range(2000, 2003):
            self.keep(Crowd(uid, 20, never_read))
        self.check_served()

    def test_all_descriptors(self):
        """With room for 350 connections in all, one uid that opens 900 only closes its own."""
        service = self.prepared(limits=[(resource.RLIMIT_NOFILE, 700)])
        service.start()
        other = self.keep(Conn(1001))
        other.works()
        self.keep(Crowd(1000, 900, None))
        other.works()
        self.check_served()
        self.assertLess(service.descriptors()[0], 700)

    def test_all_descriptors_with_requests(self):
        service = self.prepared(limits=[(resource.RLIMIT_NOFILE, 700)])
        service.start()
        self.keep(Crowd(1000, 900, half_message))
        self.check_served()

    def test_half_message_is_given_up(self):
        """After 10 s, a long one after 5 s; both are well below a minute."""
        self.instance()
        asked = []
        for act in (half_message, half_message_with_descriptors, half_long_message, urgent_in_the_middle):
            connection = self.keep(Conn(1000))
            act(connection.s, 0)
            asked.append(connection.s)
        idle = self.keep(Conn(1000))
        idle.works()
        for one in asked:
            one.setblocking(True)
            one.settimeout(60)
            try:
                self.assertEqual(one.recv(1), b'')
            except ConnectionResetError:
                pass
        idle.works()

    def test_slow_message_is_served(self):
        """One in small pieces, as long as it comes to an end."""
        self.instance()
        with Conn(1000) as connection:
            for byte in WHOLE:
                connection.s.send(bytes([byte]))
                time.sleep(0.002)
            self.assertEqual(connection.recv().ident(), 'ok')


if __name__ == '__main__':
    harness.main()
