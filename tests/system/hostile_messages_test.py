#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages that do not come to their end: nobody else waits for the rest, and no worker either."""
import ctypes, os, select

import harness
from attackers import connect
from harness import wait_until
from hostile_case import ATTACKER, AT_ONCE, SLOWNESS, HostileTest, median
from nslib import ALLOC, GETINFO, UFD, Conn, libc, make_userns, send_fds

CONNECTIONS = 3000
# Each byte that was sent alone takes a buffer of the kernel: nearly so many fit into a socket.
BYTES = 200
LOOSE_MSEC = 50 * SLOWNESS
EACH = 2


class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr."""
    _fields_ = [('name', ctypes.c_void_p), ('name_length', ctypes.c_uint), ('vectors', ctypes.POINTER(Vector)),
                ('count', ctypes.c_size_t), ('control', ctypes.c_void_p), ('control_length', ctypes.c_size_t),
                ('flags', ctypes.c_int), ('sent', ctypes.c_uint)]


def one_by_one(count):
    """`count` messages of one blank each, for sendmmsg(2)."""
    blank = ctypes.create_string_buffer(b' ')
    vector = Vector(ctypes.addressof(blank), 1)
    found = (Message * count)(*[Message(vectors=ctypes.pointer(vector), count=1) for _ in range(count)])
    found.kept = blank, vector
    return found


def dribble():
    """Sends a byte here, a byte there, for ever."""
    held, messages = [], one_by_one(BYTES)
    yield
    for _ in range(CONNECTIONS):
        held.append(connect())
        held[-1].setblocking(False)
        held[-1].send(b'{')
        libc.sendmmsg(held[-1].fileno(), messages, BYTES, 0)
    yield
    while True:
        for number, connection in enumerate(held):
            try:
                connection.send(b' ')
            except BlockingIOError:
                pass
            except OSError:  # it was given up
                held[number] = connect()
                held[number].setblocking(False)


def long_message(size):
    """The two parts of a request; the second is what ends it."""
    return b'{"method":"org.varlink.service.GetInfo"' + b' ' * size, b'}\0'


def send_all(parts):
    """Pairs of connection and what to send, all at the same time."""
    poll, waiting = select.poll(), {}
    for connection, data in parts:
        connection.setblocking(False)
        waiting[connection.fileno()] = connection, memoryview(data)
        poll.register(connection.fileno(), select.POLLOUT)
    while waiting:
        ready = poll.poll(20_000)
        assert ready, 'the service does not take what is sent'
        for fd, _ in ready:
            connection, data = waiting[fd]
            data = data[connection.send(data[:65536]):]
            waiting[fd] = connection, data
            if not data:
                poll.unregister(fd)
                connection.setblocking(True)
                del waiting[fd]


class Messages(HostileTest):
    def all_idle(self, service):
        """Each worker waits for the manager, not for a client."""
        found = self.processes(service)
        return len(found) >= 5 and all(service.is_up(pid) for pid in found)

    def check_takes_no_worker(self, service):
        self.check_served()  # so the manager has looked at the rest, too
        wait_until(lambda: self.all_idle(service), 'idle workers', AT_ONCE)

    def test_one_byte_a_send(self):
        service = self.service()
        attacker = self.attacker(dribble)
        with self.stopped(service):
            attacker.step()
            attacker.go()
        self.assertLess(median(self.look_ups(3)), LOOSE_MSEC, 'milliseconds')
        self.check_served()

    def check_rest_withheld(self, size):
        service = self.service()

        def plan():
            first, rest = long_message(size)
            held = [connect() for _ in range(EACH)]
            yield
            send_all([(connection, first) for connection in held])
            yield
            send_all([(connection, rest) for connection in held])
            for connection in held:
                connection.settimeout(20)
                reply = connection.recv(4096)
                assert b'nsresourced' in reply, 'answered %r' % reply
        attacker = self.attacker(plan)
        attacker.step()
        self.check_takes_no_worker(service)
        attacker.step()

    def test_rest_of_5_kilobytes_is_withheld(self):
        self.check_rest_withheld(5_000)

    def test_rest_of_100_kilobytes_is_withheld(self):
        self.check_rest_withheld(100_000)

    def test_rest_of_300_kilobytes_is_withheld(self):
        """More than the kernel keeps for a socket."""
        self.check_rest_withheld(300_000)

    def test_rest_of_megabytes_is_withheld(self):
        self.check_rest_withheld(1_500_000)

    def test_many_rests_are_withheld(self):
        """Of one user, who may go on as before as soon as the rests come."""
        service = self.service()

        def plan():
            first, rest = long_message(20_000)
            held = [connect() for _ in range(200)]
            yield
            send_all([(connection, first) for connection in held])
            yield
            send_all([(connection, rest) for connection in held])
            for connection in held:
                connection.settimeout(20)
                assert b'nsresourced' in connection.recv(4096)
        attacker = self.attacker(plan)
        attacker.step()
        self.assertLess(median(self.look_ups(1)), LOOSE_MSEC, 'milliseconds')
        self.check_takes_no_worker(service)
        attacker.step()

    def allocation(self, blanks):
        text = ('{"method":"%s","parameters":{"name":"long","size":65536,' % ALLOC).encode() + b' ' * blanks
        return text, ('"%s":0}}' % UFD).encode() + b'\0'

    def check_long_allocation(self, blanks, piece):
        """The descriptor comes with the first byte, and is still there when the last one comes."""
        service = self.service()
        first, rest = self.allocation(blanks)
        namespace = make_userns(ATTACKER)
        try:
            with Conn(ATTACKER) as connection:
                send_fds(connection.s, first[:1], [namespace])
                for start in range(1, len(first), piece):
                    connection.raw(first[start:start + piece])
                self.check_takes_no_worker(service)
                for start in range(len(rest)):
                    connection.raw(rest[start:start + 1])
                self.assertEqual(connection.recv().ident(), 'ok')
        finally:
            os.close(namespace)

    def test_allocation_in_small_pieces(self):
        self.check_long_allocation(0, 1)

    def test_allocation_in_many_pieces(self):
        self.check_long_allocation(20_000, 500)

    def test_allocation_larger_than_a_socket(self):
        self.check_long_allocation(300_000, 1000)

    def test_pipelined_requests_behind_a_long_one(self):
        """What comes behind the rest is not lost, nor are its descriptors."""
        self.service()
        first, rest = self.allocation(300_000)
        with Conn() as connection:
            for name in (b'"long"', b'"next"'):
                namespace = make_userns()
                send_fds(connection.s, first[:1], [namespace])
                os.close(namespace)
                connection.raw(first[1:].replace(b'"long"', name))
                connection.raw(rest)
                connection.send(GETINFO)
            for _ in range(4):
                self.assertEqual(connection.recv().ident(), 'ok')

    def check_abandoned(self, size):
        service = self.service()
        reading, writing = os.pipe()
        with Conn(ATTACKER) as connection:
            connection.raw(b'{', [writing])
            os.close(writing)
            connection.raw(long_message(size)[0][1:])
            self.check_takes_no_worker(service)
        with open(reading, 'rb') as pipe:
            self.assertTrue(select.select([pipe], [], [], AT_ONCE)[0], 'the descriptor of a message without end is kept')
            self.assertEqual(pipe.read(), b'')

    def test_descriptors_of_abandoned_messages(self):
        for size in (0, 5_000, 600_000):
            self.check_abandoned(size)


if __name__ == '__main__':
    harness.main()
