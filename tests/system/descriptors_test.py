#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of descriptors that clients send, and of clients that die."""
import ctypes, errno, os, random, signal, struct, time

import harness
from harness import DaemonTest, wait_until
from nslib import ALLOC, Child, Closed, Conn, GETINFO, UFD, become, close_but, libc, make_userns, send_fds


# A pidfd, a channel, a page of memory: what the manager has of each worker.
PER_WORKER = 3


class Handle:
    """The file handle of a namespace (nsfs, from Linux 6.18 on): tells whether it lives, and does not keep it alive."""

    def __init__(self, fd):
        self.buffer = ctypes.create_string_buffer(struct.pack('=Ii', 128, 0), 8 + 128)
        mount = ctypes.c_int()
        if libc.name_to_handle_at(fd, b'', self.buffer, ctypes.byref(mount), 0x1000 | 0x200) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self.place = os.open('/proc/self/ns/user', os.O_RDONLY)

    def lives(self):
        fd = libc.open_by_handle_at(self.place, self.buffer, os.O_RDONLY | os.O_CLOEXEC)
        if fd < 0:
            code = ctypes.get_errno()
            if code in (errno.ESTALE, errno.ENOENT):
                return False
            raise OSError(code, os.strerror(code))
        os.close(fd)
        return True

    def close(self):
        os.close(self.place)


class Descriptors(DaemonTest):
    def handle(self, fd):
        try:
            return self.keep(Handle(fd))
        except OSError as error:
            self.skipTest('no file handles of namespaces: %s' % error)

    def count(self, service):
        service.quiet_workers()
        return service.descriptors()

    def check_none_kept(self, service, before):
        wait_until(lambda: self.count(service)[0] <= before[0], 'as few descriptors of the manager as before')
        for count in service.descriptors()[1]:
            self.assertLessEqual(count, max(before[1]), 'a worker keeps descriptors')

    def test_thousand_in_several_messages(self):
        service = self.instance()
        before = self.count(service)
        with Conn(1000) as connection:
            for _ in range(5):
                connection.send(GETINFO, None, [0] * 200)
            for _ in range(5):
                self.assertEqual(connection.recv().ident(), 'ok')
        self.check_none_kept(service, before)

    def test_full_messages_pipelined(self):
        service = self.instance()
        before = self.count(service)
        for _ in range(10):
            with Conn(1000) as connection:
                for _ in range(8):
                    connection.send(ALLOC, {'name': 'x', 'size': 1, UFD: 300}, [0] * 253)
                for _ in range(8):
                    self.assertNotEqual(connection.recv().ident(), 'ok')
        self.check_none_kept(service, before)

    def test_in_the_middle_of_a_message(self):
        service = self.instance()
        before = self.count(service)
        for _ in range(50):
            with Conn(1000) as connection:
                try:
                    connection.raw(b'{"method":')
                    connection.raw(b'"org.varlink.service.GetInfo"}\0', [0] * 100)
                    connection.dropped()
                except Closed:
                    pass
        self.check_none_kept(service, before)

    def test_more_than_a_message_may_have(self):
        """Several sendmsg(2) before the first byte of a message that make more than 253 together."""
        service = self.instance()
        before = self.count(service)
        with Conn(1000) as connection:
            try:
                for _ in range(8):
                    send_fds(connection.s, b' ', [0] * 253)
                connection.raw(b'{"method":"org.varlink.service.GetInfo"}\0')
                connection.recv()
            except (Closed, BrokenPipeError, ConnectionResetError):
                pass
        self.check_none_kept(service, before)
        with Conn(1000) as connection:
            connection.works()

    def test_never_read_ones_go_with_the_connection(self):
        service = self.instance()
        reading, writing = os.pipe()
        with Conn(1000) as connection:
            connection.raw(b'{', [writing])
            with Conn(1001) as other:
                other.works()
        os.close(writing)
        os.set_blocking(reading, True)
        self.assertEqual(os.read(reading, 1), b'')
        os.close(reading)

    def test_namespaces_of_refused_calls_die(self):
        self.instance()
        refused = [{'name': 'a/b', 'size': 65536, UFD: 0}, {'name': 'x', 'size': 2, UFD: 0},
                   {'name': 'x', 'size': 65536, UFD: 1}, {'name': 'x', 'size': 65536, UFD: 0, 'target': 4294901760},
                   {'name': 'x', 'size': 65536}, {'name': 'x', 'size': 65536, UFD: 0, 'unknown': 1}]
        with Conn() as connection:
            for parameters in refused:
                fd = make_userns()
                handle = self.handle(fd)
                self.assertNotEqual(connection.call(ALLOC, parameters, [fd]).ident(), 'ok')
                os.close(fd)
                wait_until(lambda: not handle.lives(), 'death of the namespace of %r' % parameters)
            for method, flags in ((GETINFO, {}), (ALLOC + 'x', {}), (ALLOC, {'oneway': True})):
                fd = make_userns()
                handle = self.handle(fd)
                self.assertTrue(handle.lives())
                parameters = {'name': 'y', 'size': 65536, UFD: 0} if flags else None
                connection.send(method, parameters, [fd], **flags)
                os.close(fd)
                wait_until(lambda: not handle.lives(), 'death of the namespace of %s' % method)


class DyingClients(DaemonTest):
    ROUNDS = 200

    def count(self, service):
        """Descriptors of the manager, those that it has of its workers aside."""
        service.quiet_workers()
        count, workers = service.descriptors()
        return count - PER_WORKER * len(workers)

    def client(self, uid, seed):
        """A process of the uid that makes calls as fast as it can."""
        def body(control):
            close_but(control.fileno())
            become(uid)
            control.send(b'x')
            number = 0
            while True:
                number += 1
                fd = make_userns()
                connection = Conn()
                connection.send(ALLOC, {'name': 'd%d-%d' % (seed, number), 'size': random.choice((1, 65536)), UFD: 0},
                                [fd])
                os.close(fd)
                if random.random() < 0.5:
                    connection.recv()
                connection.close()
        made = Child(body)
        made.hello()
        return made

    def test_killed_at_any_moment(self):
        service = self.instance(enforcement='quarantine')
        before = self.count(service)
        lots = random.Random(1)
        for number in range(self.ROUNDS):
            client = self.client(1000 + number % 2, number)
            # Not a time that is judged: only a place in what the client does.
            time.sleep(lots.uniform(0, 0.02))
            os.kill(client.pid, signal.SIGKILL)
            client.close()
        service.wait_empty()
        wait_until(lambda: self.count(service) <= before, 'as few descriptors as before')
        with Conn(1000) as connection:
            connection.works()


if __name__ == '__main__':
    harness.main()
