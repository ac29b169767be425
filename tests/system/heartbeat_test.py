#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stops the kernel policy while it stays attached, and what removes its pins: it is noticed, said, and no range of
that time is handed out again."""
import contextlib, errno, os, shutil, subprocess

import harness
import bpf
from guard import Guard
from harness import wait_until
from nslib import Conn, make_userns, try_allocate
from policy_case import PolicyTest

TRACING = '/proc/sys/kernel/ftrace_enabled'
LINK_DETACH = 34
GUARDS, ATTEMPTS = 2, 500


@contextlib.contextmanager
def open_pin(path):
    fd = bpf.open_pin(path)
    try:
        yield fd
    finally:
        os.close(fd)


def set_tracing(value):
    with open(TRACING, 'w') as file:
        file.write('%d' % value)


class HeartbeatTest(PolicyTest):
    def stop_tracing(self):
        """Which stops every program that is attached to a function, where the kernel lets it be stopped."""
        try:
            set_tracing(0)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self.skipTest('this kernel refuses kernel.ftrace_enabled=0')
        self.addCleanup(set_tracing, 1)

    def wait_level(self, service, level):
        wait_until(lambda: self.status(service)['enforcement'] == level, 'level ' + level)

    def check_not_reused(self, service, *ones):
        """Each dies, and the name gets another range, where it would get its own again."""
        for one in ones:
            one.close()
            self.wait_gone(service, one)
            self.assertNotEqual(self.managed(name=one.name).start, one.start, one.name)

    def check_reused(self, service, one):
        one.close()
        self.wait_gone(service, one)
        self.assertEqual(self.managed(name=one.name).start, one.start)


class Gap(HeartbeatTest):
    def test_tracing_off_and_on(self):
        """At first while processes inside keep the processors busy in the programs."""
        self.service = service = self.enforcing()
        before = self.managed(name='before')
        guards = [self.keep(Guard(before.fd, self.place())) for _ in range(GUARDS)]
        wait_until(lambda: all(guard.attempts() >= ATTEMPTS for guard in guards), 'attempts', 180)
        self.assertNotIn('lastGap', self.status(service))
        dies = self.managed(name='dies')  # later, or the guards would keep it
        self.stop_tracing()
        self.wait_level(service, 'quarantine')
        self.assertEqual({outcome for guard in guards for outcome in guard.stop()[1]}, {'EPERM', 'ok'})
        self.check_said(self.ctl(service, 'status')['lastGap'], service.text(), service.manager.take_notes()[-1])
        during = self.managed(name='during')
        dies.close()
        number = self.same_inode_number(dies.inode)
        set_tracing(1)
        self.wait_level(service, 'enforce')
        self.check_restricted(before, during)
        self.check_registrable(dies, number)
        self.check_not_reused(service, before, during)
        self.check_reused(service, self.managed(name='after'))

    def check_said(self, *texts):
        for text in texts:
            self.assertIn('new inodes', text)
        self.assertIn('kernel.ftrace_enabled=1', self.service.text())

    def same_inode_number(self, inode):
        """A namespace that the kernel gives the number of a dead one."""
        held = []
        self.addCleanup(lambda: [os.close(fd) for fd in held])

        def found():
            held.append(make_userns())
            return os.fstat(held[-1]).st_ino == inode
        wait_until(found, 'the inode number of the dead one')
        return os.dup(held[-1])

    def check_registrable(self, dead, number):
        """Though it was not told that the recorded one is dead; and its range is kept back."""
        self.assertFalse(self.service.pins.is_dead(dead.inode))
        successor = self.managed(name='dies', fd=number)
        self.assertNotEqual(successor.start, dead.start)

    def test_reboot_where_enforcement_is_demanded(self):
        """Nothing is handed out in the gap, and what was in use then is known to the next boot."""
        self.enforcing().stop()
        service = self.instance(enforcement='enforce')
        one = self.managed(name='one')
        self.stop_tracing()
        self.wait_level(service, 'refuse')
        service.quiet_workers()
        with Conn() as connection:
            self.assertEqual(try_allocate(connection).ident(), 'UserNamespaceInterfaceNotSupported')
        service.kill()
        set_tracing(1)
        one.close()
        service.pins.remove()
        service.reboot()
        service.start()
        self.check_level(service, 'enforce')
        self.assertNotEqual(self.managed(name='one').start, one.start)


class Pins(HeartbeatTest):
    def test_removed(self):
        """Nothing is detached, and what was pinned is pinned again."""
        service = self.enforcing()
        one = self.managed(name='one')
        links = service.pins.links()
        self.remove_one(service, one)
        # The service may be pinning the first ones again by then.
        shutil.rmtree(service.pins.path, ignore_errors=True)
        for _ in range(3):
            self.check_restricted(one)
        wait_until(lambda: service.pins and service.pins.sets('policy') and service.pins.links() == links, 'pins')
        self.assertIn('enforced', os.listdir(service.pins.path))
        self.assertIn('Another process removed', service.text())
        service.kill()
        self.check_restricted(one)
        service.start()
        self.assertEqual(service.pins.links(), links)
        self.check_reused(service, one)

    def remove_one(self, service, one):
        """The kernel detaches no link of this kind; that its pin is gone is all that can happen to it."""
        path = service.pins.only('policy') + '/judge_mkdir'
        link, _ = bpf.link_ids(path)
        with open_pin(path) as fd, self.assertRaises(OSError) as refused:
            bpf.bpf(LINK_DETACH, 'I', fd)
        self.assertEqual(refused.exception.errno, errno.EOPNOTSUPP)
        detached = subprocess.run(['bpftool', 'link', 'detach', 'id', str(link)], capture_output=True)
        self.assertNotEqual(detached.returncode, 0)
        os.unlink(path)
        self.check_restricted(one)
        wait_until(lambda: os.path.exists(path), 'pin')
        self.assertEqual(bpf.link_ids(path)[0], link)


if __name__ == '__main__':
    harness.main()
