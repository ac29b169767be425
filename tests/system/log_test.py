#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Of the log lines that one user causes within a minute five are written, and then how many were left out."""
import os, re, signal, unittest

import harness, nslib
from fairness_test import never_read
from harness import Crowd, DaemonTest
from nslib import ALLOC, CLONE_NEWNET, CLONE_NEWUSER, NET, NFD, UFD, Child, Conn
from process import wait_until

LINES = 5
FAILURE = 'A call failed'
# The end of the minute, and then some.
MINUTE = 90


def register_self(connection, name):
    """The process joins a new user namespace and one of the network; the descriptors of both."""
    nslib.unshare(CLONE_NEWUSER)
    userns = os.open('/proc/self/ns/user', os.O_RDONLY)
    connection.ok(ALLOC, {'name': name, 'size': 1, 'type': 'self', UFD: 0}, [userns])
    nslib.unshare(CLONE_NEWNET)
    return userns, os.open('/proc/self/ns/net', os.O_RDONLY)


def fail(count, name, connections=1):
    """So many calls that go wrong in the kernel, since every network namespace has an interface `lo`."""
    asking = [Conn() for _ in range(connections)]
    userns, network = register_self(asking[0], name)
    wish = {'mode': 'veth', 'namespaceInterfaceName': 'lo', UFD: 0, NFD: 1}
    for number in range(count):
        asking[number % connections].err('System:EEXIST', NET, wish, [userns, network])


class Failing(Child):
    """A process of the uid, or of one in the range of a namespace, that does this."""

    def __init__(self, count, uid, parent=None, **settings):
        def body(control):
            close_but_these(control.fileno(), parent)
            if parent is not None:
                nslib.setns(parent, CLONE_NEWUSER)
            nslib.become(uid)
            nslib.libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: it opens files of its own in /proc
            fail(count, 'f%d' % os.getpid(), **settings)
            control.send(b'x')
        super().__init__(body)

    def wait(self):
        self.s.settimeout(120)
        data, _ = nslib.recv_fds(self.s)
        assert data == b'x', data.decode()
        self.close()


def close_but_these(*kept):
    for fd in [int(name) for name in os.listdir('/proc/self/fd')]:
        if fd > 2 and fd not in kept:
            try:
                os.close(fd)
            except OSError:
                pass


class Log(DaemonTest):
    def count(self, service, sign=FAILURE):
        return service.text().count(sign)

    def left_out(self, service):
        """By user, all minutes together."""
        found = {}
        for uid, lines in re.findall(r'warning: Uid (\d+) caused (\d+) more log lines', service.text()):
            found[int(uid)] = found.get(int(uid), 0) + int(lines)
        return found

    def check_bounded(self, written):
        """A minute may have ended meanwhile."""
        self.assertGreaterEqual(written, LINES)
        self.assertLessEqual(written, 2 * LINES)

    def test_failing_calls_of_one_user(self):
        service = self.instance()
        several = [Failing(500, 1000, connections=3) for _ in range(4)]
        for one in several:
            one.wait()
        written = self.count(service)
        self.check_bounded(written)
        Failing(1, 1001).wait()
        self.assertEqual(self.count(service), written + 1, 'a line of another user')
        service.wait_empty()
        service.stop()
        self.assertEqual(self.left_out(service), {1000: 2000 - written}, 'each line is written or counted')

    def test_summary_at_the_end_of_the_minute(self):
        service = self.instance()
        Failing(100, 1000).wait()
        written = self.count(service)
        wait_until(lambda: sum(self.left_out(service).values()) == 100 - written, 'summary', MINUTE)
        self.assertLessEqual(self.count(service, 'caused'), 2)
        Failing(1, 1000).wait()
        self.assertEqual(self.count(service), written + 1, 'the next minute has lines of its own')

    def test_uids_of_one_range(self):
        service = self.instance()
        allocation = self.keep(harness.alloc(uid=1000))
        several = [Failing(50, uid, parent=allocation.fd) for uid in range(1, 9)]
        for one in several:
            one.wait()
        self.check_bounded(self.count(service))

    def test_workers_that_a_user_loses(self):
        service = self.instance()
        for _ in range(3 * LINES):
            crowd = Crowd(1000, 1, never_read)
            busy = wait_until(lambda: [pid for pid in service.workers() if service.lingers(pid)], 'a busy worker')
            os.kill(busy[0], signal.SIGKILL)
            wait_until(lambda: busy[0] not in service.workers(), 'its end')
            crowd.close()
        wait_until(lambda: len(service.workers()) >= 5, 'other workers')
        Failing(1, 1001).wait()
        self.check_bounded(self.count(service, 'was killed by signal'))

    def test_debug_lines_are_all_written(self):
        service = self.instance(options=['--log-level=debug'])
        for _ in range(3 * LINES):
            with Conn(1000) as connection:
                connection.raw(b'no message\0')
                connection.dropped()
        wait_until(lambda: self.count(service, 'Connection of uid 1000 ends') == 3 * LINES, 'the lines')


if __name__ == '__main__':
    harness.main()
