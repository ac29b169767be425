#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker and the manager are killed at every system call in turn; afterwards rules 1 to 3 of the design must hold:
ids in a namespace have their record, nothing of a killed call remains, and the next request is served."""
import itertools, json, os

import harness, journal, tracer
from faults import Caller, Rounds, links_of
from harness import DaemonTest, alloc, namespace, wait_until
from nslib import ALLOC, Conn, NS_GET_ID, UFD, eq, ioctl_u64, maps, reg_load, try_allocate, user_by_uid

FLOCK = {'x86_64': 73, 'aarch64': 32}.get(os.uname().machine)


class Faults(DaemonTest):
    def check_whole_or_nothing(self, service, target, name, before):
        """Gives 'whole', 'nothing', or 'half': the kernel gives no way to take the first of two maps back, so that its
        record has to stay."""
        wait_until(lambda: not service.unfinished(), 'repair')
        uids, gids = maps(target.fd)
        links = links_of(service, target.inode)
        if not uids and not gids:
            wait_until(lambda: service.files() == before, 'end of all that was recorded')
            return 'nothing'
        record = reg_load('i%d.userns' % target.inode)
        start = (uids or gids)[0][1]
        self.assertEqual((record['name'], record['start'], record['userns']), (name, start, target.inode))
        self.assertEqual(len(links), 5, links)
        for _, delegated, _ in (uids or gids)[1:]:
            self.assertLessEqual({'u%d.delegate' % delegated, 'g%d.delegate' % delegated}, set(service.files()))
        if uids and gids:
            self.assertEqual(uids, gids)
            eq(user_by_uid(start).params['record']['userName'], 'ns-%s-0' % name, 'record')
            return 'whole'
        return 'half'

    def try_again(self, service, target, name, more):
        # By the worker that is newest: its first call has system calls that later ones have not.
        service.quiet_workers()
        with Conn() as connection:
            eq(try_allocate(connection, fd=target.fd, name=name, **more).ident(), 'ok', 'the same call again')

    def kill_allocations(self, service, victims, after, **more):
        """One allocation after another, each cut off one system call later than the one before, until one comes
        through. Gives how often each outcome was seen, and the starts."""
        seen, starts, rounds = {}, [], Rounds()
        warm = self.keep(alloc(name='warm'))
        for count in rounds:
            name = 'f%d' % count
            target = self.keep(namespace())  # its release would be another worker's first move in the next round
            before = service.files()
            # The worker that was busy last is the next one, too: it has loaded by now what is loaded once, so that each
            # round has the same system calls.
            with Conn() as connection:
                eq(try_allocate(connection, name=warm.name, **more).ident(), 'NameExists', 'outcome')
            caller = Caller(ALLOC, {'name': name, 'size': 65536, UFD: 0, **more}, [target.fd])
            killed = tracer.kill_at(victims(), count, caller.ask, caller.has_answer)
            after(killed)
            outcome = self.check_whole_or_nothing(service, target, name, before)
            if not killed:
                self.assertEqual((caller.connection.recv().ident(), outcome), ('ok', 'whole'))
            caller.connection.close()
            if outcome == 'nothing':
                self.try_again(service, target, name, more)
            starts += [start for _, start, _ in maps(target.fd)[1]]
            seen[outcome] = seen.get(outcome, 0) + 1
            rounds.note(killed)
        return seen, starts

    def check_worker(self, enforcement, **more):
        service = self.instance(enforcement=enforcement)
        seen, starts = self.kill_allocations(service, service.quiet_workers, lambda killed: None, **more)
        self.assertGreater(seen['nothing'], 20, seen)
        self.assertGreater(seen['whole'], Rounds.SPARED, seen)
        if enforcement == 'quarantine':
            self.assertEqual(len(set(starts)), len(starts), 'a range was handed out twice')

    def test_worker_in_allocation(self):
        self.check_worker('none')

    def test_worker_in_allocation_with_quarantine(self):
        self.check_worker('quarantine')

    def test_worker_in_allocation_with_delegations(self):
        self.check_worker('quarantine', delegateContainerRanges=2)

    def test_manager_in_allocation(self):
        service = self.instance(enforcement='quarantine')

        def after(killed):
            if killed:
                service.wait_for_corpse()
                service.start()
            service.quiet_workers()
        service.quiet_workers()
        seen, starts = self.kill_allocations(service, lambda: [service.pid], after)
        self.assertGreater(sum(seen.values()), 5, seen)
        self.assertEqual(len(set(starts)), len(starts), 'a range was handed out twice')

    def test_worker_in_release(self):
        service = self.instance(enforcement='quarantine')
        rounds = Rounds()
        for count in rounds:
            service.quiet_workers()
            one = alloc(name='r')
            service.quiet_workers()
            killed = tracer.kill_at(service.workers(), count, one.close, lambda: not service.files())
            wait_until(lambda: not service.files(), 'release')
            self.assertEqual(user_by_uid(one.start).ident(), 'NoRecordFound')
            rounds.note(killed)
        self.assertGreater(count, 10)

    def leave_half_done(self, service, lost, target):
        """What a manager leaves that died with its workers: one call about a namespace that is dead, one about one that
        lives and has no maps."""
        path = os.path.join(service.run, 'nsresource/journal')
        gone = reg_load('i%d.userns' % lost.inode)
        record = dict(gone, name='half', userns=target.inode)
        record['usernsId'] = ioctl_u64(target.fd, NS_GET_ID)
        record['start'] = record['startGid'] = 524288 if lost.start != 524288 else 524288 + 65536
        entry = os.path.join(service.registry, 'i%d.userns' % target.inode)
        with open(entry, 'w') as file:
            json.dump(record, file)
        for name in ('nhalf.userns', 'u%d.userns' % record['start']):
            os.link(entry, os.path.join(service.registry, name))
        journal.leave(path, 100, journal.MAPPING, gone)
        journal.leave(path, 101, journal.RECORDING, record)

    def start_killed_at(self, service, count):
        service.prepare = tracer.wait_for_tracer
        service.launch()
        service.prepare = None
        killed = tracer.kill_start_at(service.pid, FLOCK, count, lambda: 'READY=1' in service.take_notes())
        if killed:
            service.wait_for_corpse()
        return killed

    def test_manager_in_recovery(self):
        service = self.instance(enforcement='quarantine')
        keep, target = self.keep(alloc(name='keep')), self.keep(namespace())
        # Each call of the recovery itself; of the long way from there to the first client a sample.
        for count in itertools.chain(range(1, 150), range(150, 5000, 11)):
            lost = alloc(name='lost', uid=1000)
            service.kill()
            self.leave_half_done(service, lost, target)
            lost.close()
            killed = self.start_killed_at(service, count)
            if killed:
                service.start()
            self.assertEqual(service.unfinished(), [])
            self.assertEqual(len(links_of(service, keep.inode)), 5)
            # The kernel frees a namespace a moment after its last descriptor is closed.
            wait_until(lambda: not [file for file in service.files() if 'lost' in file or 'o1000' in file], 'release')
            self.assertEqual([file for file in service.files() if 'half' in file], [])
            self.assertEqual(links_of(service, target.inode), [])
            self.assertEqual(user_by_uid(keep.start).params['record']['userName'], 'ns-keep-0')
            if not killed:
                self.assertGreater(count, 30)
                return
        self.fail('no start came through')


if __name__ == '__main__':
    harness.main()
