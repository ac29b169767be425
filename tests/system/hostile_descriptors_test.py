#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors that make close(2) wait for as long as their sender likes: nobody else waits for them."""
import json

import harness
import attackers, fuse
from attackers import Chain, FuseFile, FuseFlush, Harmless, Linger
from harness import alloc, wait_until
from herd import request
from hostile_case import ATTACKER, HELD_BY_ONE_USER, SLOWNESS, HostileTest
from nslib import MFD, MOUNT, UFD, send_fds

MANY = 60
ROUNDS = 4
# Processes, by several users that hold all they can.
HELD_BY_ALL = 100
# What is done about a worker that does not come back from a close(2).
WATCHED_SECONDS = 20 * SLOWNESS


def half(connection, fd):
    send_fds(connection, b'{', [fd])


def refused(connection, fd):
    """A whole message that names the descriptor as what it is not."""
    send_fds(connection, request('x', 1), [fd])


def unknown(connection, fd):
    send_fds(connection, b'{"method":"org.varlink.service.Nothing"}\0', [fd])


def middle(connection, fd):
    connection.send(b'{"method":')
    send_fds(connection, b'"org.varlink.service.GetInfo"}\0', [fd])


def unread(connection, fd):
    """Behind a message that ends the connection."""
    connection.send(b'nonsense\0')
    send_fds(connection, b'{"method":"org.varlink.service.GetInfo"}\0', [fd])


def pipelined(connection, fd):
    """Behind many whose answers nobody takes: the client is gone."""
    connection.send(b'{"method":"org.varlink.service.GetInfo"}\0' * 100)
    send_fds(connection, b'{"method":"org.varlink.service.GetInfo"}\0', [fd])


TO_WORKERS = (refused, unknown, middle, unread, pipelined)


class Statfs(FuseFile):
    """Files about whose file system no question is answered."""
    kind = fuse.STATFS


class HangUps:
    def check_hang_ups(self, kind):
        """Clients that are gone, and have left half a message with such a descriptor in the queue."""
        service, weapon = self.service(), self.weapon(kind)
        wait_until(lambda: self.at_rest(service), 'workers at rest')
        before = self.manager_descriptors(service)
        sender = self.senders(weapon, half, MANY, hang_up=True, uid=ATTACKER)
        for _ in range(ROUNDS):
            self.strike(service, weapon, MANY, sender)
            self.check_served()
            self.assertLess(len(self.held(service)), HELD_BY_ONE_USER)
            self.assertLess(self.manager_descriptors(service), before + ROUNDS * MANY + 100)
        if not weapon.holds_exit:
            self.check_recovers(service, before)
        weapon.let_go()
        sender.close()
        self.check_recovers(service, before)

    def check_of_a_range(self, kind):
        """Several uids of one user's range, each with as many connections as a user may have workers."""
        service, weapon = self.service(), self.weapon(kind)
        before = self.manager_descriptors(service)
        own = self.keep(alloc(uid=ATTACKER))
        senders = [self.senders(weapon, middle, 16, uid=uid, inside=own.fd) for uid in range(1, 7)]
        self.strike(service, weapon, 16, *senders)
        for _ in range(5):
            self.check_served()
            self.assertLess(len(self.held(service)), HELD_BY_ONE_USER)
        weapon.let_go()
        for sender in senders:
            sender.close()
        own.close()
        service.wait_empty()
        self.check_recovers(service, before)


class Essentials(HangUps):
    """What is tried at each level."""

    def test_hang_up_with_lingering_socket(self):
        self.check_hang_ups(Linger)

    def test_hang_up_with_fuse_file(self):
        self.check_hang_ups(FuseFile)

    def test_lingering_sockets_of_many_uids_of_a_range(self):
        self.check_of_a_range(Linger)

    def test_fuse_files_of_many_uids_of_a_range(self):
        self.check_of_a_range(FuseFlush)


class AtQuarantine(Essentials, HostileTest):
    LEVEL = 'quarantine'


class AtEnforce(Essentials, HostileTest):
    LEVEL = 'enforce'


class AtNone(Essentials, HostileTest):
    def test_hang_up_with_chain_of_sockets(self):
        self.check_hang_ups(Chain)

    def test_hang_up_with_harmless_ones(self):
        self.check_hang_ups(Harmless)

    def send_to_workers(self, kind, count, ways=TO_WORKERS):
        """Each way of sending is one user's."""
        service, weapon = self.service(), self.weapon(kind)
        wait_until(lambda: self.at_rest(service), 'workers at rest')
        senders = [self.senders(weapon, send, count, hang_up=send is pipelined, uid=ATTACKER + number)
                   for number, send in enumerate(ways)]
        self.strike(service, weapon, count, *senders)
        self.check_served()
        return service, weapon, senders

    def test_worker_that_closes_lingering_socket_is_watched(self):
        """In a call, as for one that is refused, the deadline is that of the call."""
        service, _, _ = self.send_to_workers(Linger, 1, [way for way in TO_WORKERS if way is not refused])
        wait_until(lambda: self.at_rest(service), 'end of workers that do not come back', WATCHED_SECONDS)
        self.check_served()

    def check_worker_that_the_kernel_holds(self, kind):
        """Not even SIGKILL ends it."""
        service, weapon, senders = self.send_to_workers(kind, 1)
        wait_until(lambda: len([pid for pid in self.processes(service) if service.is_up(pid)]) >= 5,
                   'a pool without them', WATCHED_SECONDS)
        weapon.let_go()
        for sender in senders:
            sender.close()
        wait_until(lambda: self.at_rest(service), 'end of what was held')

    def test_worker_held_by_last_close(self):
        self.check_worker_that_the_kernel_holds(FuseFile)

    def test_worker_held_by_flush(self):
        self.check_worker_that_the_kernel_holds(FuseFlush)

    def test_many_messages_with_lingering_sockets(self):
        service, weapon, _ = self.send_to_workers(Linger, MANY)
        self.assertLess(len(self.held(service)), HELD_BY_ALL)
        self.check_stops(service)

    def test_many_messages_with_fuse_files(self):
        service, weapon, _ = self.send_to_workers(FuseFlush, MANY)
        self.assertLess(len(self.held(service)), HELD_BY_ALL)
        self.check_stops(service)

    def test_files_about_which_no_question_is_answered(self):
        """fstatfs(2) waits for the server: for what an allocation is to be for, and for a mount, which is root's."""
        service, weapon = self.service(), self.weapon(Statfs)
        own = self.keep(alloc())

        def plan():
            directory, held = weapon.fuse.directory(), []
            text = json.dumps({'method': MOUNT, 'parameters': {UFD: 0, MFD: 1}}).encode() + b'\0'
            yield
            for _ in range(MANY):
                held.append(attackers.connect())
                send_fds(held[-1], text, [own.fd, directory])
            yield
        root = self.attacker(plan, uid=0, keep=(*weapon.keep, own.fd))
        user = self.senders(weapon, refused, MANY, uid=ATTACKER)
        self.strike(service, weapon, MANY, root, user)
        for _ in range(5):
            self.check_served()
        self.assertLess(len(self.held(service)), HELD_BY_ALL)
        root.close()
        own.close()
        self.check_stops(service)


if __name__ == '__main__':
    harness.main()
