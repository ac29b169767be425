# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests in which a local user attacks the service, and others want to be served meanwhile."""
import contextlib, json, os, signal, time

from harness import DaemonTest, read, state_of, wait_until
import attackers, fuse
from nslib import ALLOC, MEMBERSHIPS, SERVICE, UFD, Conn, make_userns, run_in, uniq
from process import PATIENCE

ATTACKER, NEIGHBOUR = 1000, 1100
# Slow machines get more of what takes milliseconds everywhere, or a few seconds at the most.
SLOWNESS = max(1.0, PATIENCE / 30)
AT_ONCE = 2 * SLOWNESS
A_FEW_SECONDS = 10 * SLOWNESS
# So many processes of the service one user may hold up in the kernel: workers, and what closes descriptors.
HELD_BY_ONE_USER = 40
PER_WORKER = 3


class HostileTest(DaemonTest):
    LEVEL = 'none'

    def setUp(self):
        super().setUp()
        self.weapons, self.killed = [], []

    def finish(self, made):
        # First what processes wait for in the kernel: attackers, too, which could not even be killed.
        for weapon in self.weapons:
            weapon.close()
        while self.killed:
            os.waitpid(self.killed.pop(), 0)
        super().finish(made)

    def service(self, **settings):
        """A running instance in a process group of its own: by that its processes are found when nothing else is left
        of them but a close(2)."""
        service = self.instance(enforcement=None if self.LEVEL == 'enforce' else self.LEVEL, prepare=os.setpgrp,
                                **settings)
        service.group = service.pid
        if self.LEVEL == 'enforce':
            status = json.loads(read(os.path.join(service.run, 'nsresource/status')))
            if status['enforcement'] != 'enforce':
                self.skipTest(status['reason'])
        return service

    def weapon(self, kind):
        if issubclass(kind, attackers.FuseFile) and fuse.missing():
            self.skipTest(fuse.missing())
        self.weapons.append(kind())
        return self.weapons[-1]

    def attacker(self, plan, uid=ATTACKER, inside=None, keep=()):
        return self.keep(attackers.Attacker(plan, uid, inside, keep))

    def senders(self, weapon, send, count, hang_up=False, **who):
        """An attacker that at each step makes `count` connections, and sends one descriptor on each in its own way."""
        def plan():
            held = []
            yield
            while True:
                for _ in range(count):
                    held.append(attackers.connect())
                    fd = weapon.make()
                    send(held[-1], fd)
                    os.close(fd)
                while hang_up and held:
                    held.pop().close()
                yield
        return self.attacker(plan, keep=weapon.keep, **who)

    def strike(self, service, weapon, count, *senders):
        """One step of all of them, before the service gets to see any of it: so the last copies are in its hands."""
        with self.stopped(service):
            for sender in senders:
                sender.step()
            weapon.arm(count)

    @contextlib.contextmanager
    def stopped(self, service):
        service.send(signal.SIGSTOP)
        wait_until(lambda: state_of(service.pid) in ('T', 't'), 'stop of the manager', A_FEW_SECONDS)
        try:
            yield
        finally:
            service.send(signal.SIGCONT)

    def check_served(self, uid=NEIGHBOUR, within=AT_ONCE):
        """Both a look-up and the main job, on a fresh connection. Only the service is measured, not this machine's way
        of starting processes."""
        namespace = make_userns(uid)
        try:
            with Conn(uid) as connection:
                connection.send(MEMBERSHIPS, {'userName': 'nsr', 'service': SERVICE})
                self.assertEqual(connection.recv(within).ident(), 'NoRecordFound')
                connection.send(ALLOC, {'name': uniq(), 'size': 65536, UFD: 0}, [namespace])
                self.assertEqual(connection.recv(within).ident(), 'ok')
        finally:
            os.close(namespace)

    def processes(self, service):
        """All of the service that have not ended, the manager aside."""
        found = []
        for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):
            with contextlib.suppress(OSError):
                state, _, group = read('/proc/%d/stat' % pid).rsplit(')', 1)[1].split()[:3]
                if int(group) == service.group and pid != service.group and state not in ('Z', 'X'):
                    found.append(pid)
        return found

    def held(self, service):
        """Those that are neither workers at rest nor about to be: what a descriptor holds is among them."""
        return [pid for pid in self.processes(service) if not service.is_up(pid) and not service.lingers(pid)]

    def manager_descriptors(self, service):
        workers = [pid for pid in self.processes(service) if service.is_up(pid) or service.lingers(pid)]
        return len(os.listdir('/proc/%d/fd' % service.pid)) - PER_WORKER * len(workers)

    def at_rest(self, service):
        """A pool of workers that have nothing to do, and no other process."""
        return not self.held(service) and len(self.processes(service)) >= 5

    def check_recovers(self, service, descriptors):
        """When all descriptors of the attackers are gone, so is what they have cost."""
        wait_until(lambda: not self.held(service), 'end of all processes that the attackers held')
        wait_until(lambda: self.manager_descriptors(service) <= descriptors, 'as few descriptors as before')
        self.check_served()

    def check_stops(self, service, number=signal.SIGTERM):
        """It ends as it does at other times, whatever is held, and the next one begins to serve at once."""
        self.assertEqual(self.stop_within(service, number), 0, 'exit status')
        self.assertEqual([name for name in service.leftovers() if name.startswith('file ')], [])
        self.start_within(service)
        self.check_served()

    def stop_within(self, service, number):
        service.send(number)
        return service.wait(A_FEW_SECONDS)

    def start_within(self, service):
        service.launch()
        wait_until(service.is_ready, 'READY=1', A_FEW_SECONDS)
        service.group = service.pid

    def kill(self, service):
        """The kernel may keep it until the descriptors are let go: its corpse is not waited for."""
        os.kill(service.pid, signal.SIGKILL)
        self.killed.append(service.pid)
        service.pid = None

    def look_ups(self, seconds, uid=NEIGHBOUR):
        """How long each of a user's look-ups takes, in milliseconds, one after the other on fresh connections."""
        def body():
            found, end = [], time.monotonic() + seconds
            while time.monotonic() < end:
                begun = time.monotonic()
                with Conn() as connection:
                    connection.send(MEMBERSHIPS, {'userName': 'nsr', 'service': SERVICE})
                    connection.recv()
                found.append((time.monotonic() - begun) * 1000)
                time.sleep(0.002)
            return found
        return run_in(body, uid=uid, timeout=60)


def median(values):
    return sorted(values)[len(values) // 2]
