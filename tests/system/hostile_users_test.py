#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user is not a uid: who has a range has 65,536 more, and is still one user beside others."""
import json, os, select, shutil, subprocess

import harness
from attackers import connect
from harness import alloc
from herd import Maker
from hostile_case import ATTACKER, NEIGHBOUR, SLOWNESS, HostileTest, median
from nslib import ALLOC, GETINFO, GETUSER, SERVICE, UFD, Conn, libc, pdeathsig, send_fds

LOOSE_MSEC = 50 * SLOWNESS
# Workers that are at work for two users, of which one is the neighbour; and what is on its way to or from them.
BUSY_WORKERS = 3
MANY_UIDS = 3000
INFO = json.dumps({'method': GETINFO}).encode() + b'\0'
RECORD = json.dumps({'method': GETUSER, 'parameters': {'uid': 600000, 'service': SERVICE}}).encode() + b'\0'
HALF = b'{' + b' ' * 5000
SOURCE = os.path.join(harness.HERE, 'connector.c')


def flood(connections, requests):
    """Sends the requests on all connections again and again, as fast as the answers are taken."""
    poll, held = select.epoll(), {}
    for connection in connections:
        connection.setblocking(False)
        held[connection.fileno()] = [connection, b'']
        poll.register(connection.fileno(), select.EPOLLIN | select.EPOLLOUT)
    while True:
        for fd, events in poll.poll():
            one = held[fd]
            try:
                if events & select.EPOLLIN:
                    one[0].recv(1 << 20)
                if events & select.EPOLLOUT:
                    one[1] = one[1] or requests
                    one[1] = one[1][one[0].send(one[1]):]
            except BlockingIOError:
                pass
            except OSError:
                poll.unregister(fd)


def neighbour():
    """One look-up after the other."""
    yield
    while True:
        with Conn() as connection:
            connection.send(GETUSER, {'uid': 600000, 'service': SERVICE})
            connection.recv()


def allocating(number):
    """One allocation after the other, with all that it may have, each of which is dead before the next."""
    def plan():
        libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, or it may not look at its own children
        maker, count = Maker(), 0
        yield
        while True:
            count += 1
            fd = maker.make()
            text = json.dumps({'method': ALLOC, 'parameters': {'name': 'w%d-%d' % (number, count), 'size': 65536,
                                                               'delegateContainerRanges': 16, UFD: 0}})
            with Conn() as connection:
                send_fds(connection.s, text.encode() + b'\0', [fd])
                os.close(fd)
                connection.recv()
    return plan


class Turns(HostileTest):
    def check_turns(self, service):
        """While another user is active the attacker has one worker, and both of the other's calls take little."""
        active = self.attacker(neighbour, uid=NEIGHBOUR)
        active.go()
        busy = median([len(self.held(service)) for _ in range(100)])
        active.close()
        self.assertLessEqual(busy, BUSY_WORKERS, 'workers at once for an attacker and his neighbour')
        self.assertLess(median(self.look_ups(1)), LOOSE_MSEC, 'milliseconds')
        self.check_served()

    def check_flood(self, service, plan, **who):
        self.attacker(plan, **who).go()
        self.check_turns(service)

    def test_pipelined_look_ups(self):
        def plan():
            held = [connect() for _ in range(32)]
            yield
            flood(held, RECORD * 2000)
        self.check_flood(self.service(), plan)

    def test_allocations_with_delegates(self):
        service = self.service()
        attackers = [self.attacker(allocating(number)) for number in range(16)]
        for attacker in attackers:
            attacker.go()
        self.check_turns(service)

    def test_requests_of_many_uids_of_a_range(self):
        """Each has a short complete one at any time."""
        def plan():
            held = [connect(uid) for uid in range(1, MANY_UIDS + 1)]
            yield
            flood(held, INFO)
        service = self.service()
        own = self.keep(alloc(uid=ATTACKER))
        self.check_flood(service, plan, uid=0, inside=own.fd)


class ManyIds(HostileTest):
    """What one user does with the ids of a range, and others are served."""

    def setUp(self):
        super().setUp()
        self.running = self.service()
        self.own = self.keep(alloc(uid=ATTACKER))

    def test_unfinished_messages(self):
        def plan():
            held = [connect(uid) for uid in range(1, 41) for _ in range(16)]
            yield
            for connection in held:
                connection.send(HALF)
            yield
        self.attacker(plan, uid=0, inside=self.own.fd).step()
        self.assertLess(median(self.look_ups(2)), LOOSE_MSEC, 'milliseconds')
        self.check_served()

    def test_unfinished_messages_of_the_user_and_his_ids(self):
        """The owner and what he owns are one."""
        def plan():
            held = [connect() for _ in range(16)]
            yield
            for connection in held:
                connection.send(HALF)
            yield
        for uid in range(1, 7):
            self.attacker(plan, uid=uid, inside=self.own.fd).step()
        self.attacker(plan).step()
        self.assertLess(median(self.look_ups(1)), LOOSE_MSEC, 'milliseconds')
        self.check_served()

    def test_set_user_id_copies(self):
        """Run from outside of the namespace, where nothing but the uid tells whose they are."""
        if not shutil.which('cc'):
            self.skipTest('no C compiler for a set-user-ID program')
        place = self.running.path('place')
        os.mkdir(place)
        os.chmod(place, 0o777)
        subprocess.run(['cc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', place + '/connector', SOURCE], check=True)
        for uid in range(1, 7):
            self.copy(place, uid)
            self.keep(Running([place + '/%d' % uid, self.running.socket, '16'], ATTACKER))
        self.assertLess(median(self.look_ups(1)), LOOSE_MSEC, 'milliseconds')
        self.check_served()

    def copy(self, place, uid):
        """Made by a process inside, so that it belongs to an id of the range."""
        def plan():
            os.umask(0)
            shutil.copy(place + '/connector', place + '/%d' % uid)
            os.chmod(place + '/%d' % uid, 0o4755)
            yield
        self.attacker(plan, uid=uid, inside=self.own.fd)
        self.assertEqual(os.stat(place + '/%d' % uid).st_uid, self.own.start + uid)


class Running:
    """A program that has said that it is ready."""

    def __init__(self, argv, uid):
        def prepare():
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            pdeathsig()
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=prepare)
        assert self.process.stdout.read(1) == b'x', 'it has failed'

    def close(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


if __name__ == '__main__':
    harness.main()
