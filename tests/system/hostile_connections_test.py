#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections in great numbers, and what they hold when there is no more room for them."""
import resource, socket

import harness
from attackers import FuseFile, Linger, connect
from harness import Crowd, alloc, read, wait_until
from hostile_case import ATTACKER, HELD_BY_ONE_USER, NEIGHBOUR, HostileTest
from hostile_descriptors_test import half
from nslib import Conn

# Room for half as many connections.
FEW_DESCRIPTORS = 700
TOO_MANY = 900
CROWD = 8000
MEMORY_KIB = 8 << 10
MINUTE = 60
WHOLE = b'{"method":"org.varlink.service.GetInfo"}\0'


def ask(connection, number):
    connection.send(WHOLE)
    connection.recv(4096)


def ask_half(connection, number):
    connection.send(WHOLE[:-1])


class NoRoom(HostileTest):
    def small(self):
        return self.service(limits=[(resource.RLIMIT_NOFILE, FEW_DESCRIPTORS)])

    def check_eviction(self, kind, hang_up):
        service, weapon = self.small(), self.weapon(kind)
        wait_until(lambda: self.at_rest(service), 'workers at rest')
        before = self.manager_descriptors(service)
        sender = self.senders(weapon, half, TOO_MANY, hang_up=hang_up, uid=ATTACKER)
        self.strike(service, weapon, TOO_MANY, sender)
        for _ in range(5):
            self.check_served()
        self.assertLess(len(self.held(service)), HELD_BY_ONE_USER)
        weapon.let_go()
        sender.close()
        self.check_recovers(service, before)

    def test_eviction_of_lingering_sockets(self):
        self.check_eviction(Linger, hang_up=False)

    def test_eviction_of_fuse_files(self):
        self.check_eviction(FuseFile, hang_up=False)

    def test_fuse_files_of_clients_that_are_gone(self):
        """More of them than there is room for connections, and none can be closed."""
        self.check_eviction(FuseFile, hang_up=True)

    def test_connections_of_many_uids_of_a_range(self):
        """Each uid has fewer than the neighbour, but their user has far more: his are given up."""
        self.small()
        own = self.keep(alloc(uid=ATTACKER))
        kept = [self.keep(Conn(NEIGHBOUR)) for _ in range(20)]

        def plan():
            held = []
            yield
            for uid in list(range(1, 101)) * 9:
                held.append(connect(uid))
            yield
        self.attacker(plan, uid=0, inside=own.fd).step()
        self.check_served()
        for connection in kept:
            connection.works()


class Crowds(HostileTest):
    def memory(self, service):
        words = next(line for line in read('/proc/%d/status' % service.pid).split('\n') if line.startswith('VmRSS'))
        return int(words.split()[1])

    def check_memory(self, act):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CROWD + 1000:
            self.skipTest('the limit on descriptors is below %d' % (CROWD + 1000))
        service = self.service()
        wait_until(lambda: self.memory(service) <= MEMORY_KIB, 'little memory to begin with')
        Crowd(ATTACKER, CROWD, act).close()
        wait_until(lambda: self.memory(service) <= MEMORY_KIB, 'as little memory again', MINUTE)
        self.check_served()

    def test_memory_goes_back(self):
        self.check_memory(ask)

    def test_memory_goes_back_after_half_messages(self):
        self.check_memory(ask_half)

    def test_storm_leaves_nothing(self):
        """Connect, send a byte, perhaps with a descriptor, and close."""
        service = self.service()
        wait_until(lambda: self.at_rest(service), 'workers at rest')
        before = self.manager_descriptors(service)

        def plan():
            yield
            for number in range(3000):
                with connect() as connection:
                    socket.send_fds(connection, [b'{'], [0, 0] if number % 3 == 0 else [])
            yield
        storms = [self.attacker(plan, uid=ATTACKER + number) for number in range(2)]
        for storm in storms:
            storm.go()
        self.check_served()
        for storm in storms:
            storm.wait()
        self.check_recovers(service, before)


if __name__ == '__main__':
    harness.main()
