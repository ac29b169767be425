#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user is not a uid: one range gives its user 65,536 more uids, and none of them gives room for more."""
import itertools, json, os, shutil, struct, subprocess, sys, tempfile

import harness, nslib
from harness import DaemonTest, alloc, program, wait_until
from nslib import REGISTER, UFD, Child, Conn, close_but, become, eq, make_userns, recv_fds, try_allocate

ANNA, BERTA = 59777, 59778
NAMES = ('n%x' % number for number in itertools.count())  # short: the caller's uid goes before them
CONTAINERS, SINGLES = 28664, 4336
MAX_REGISTRATIONS, SHARE_OF_SINGLES = 256, SINGLES // 16
FOREIGN = 2147352576
MARKS = 8
COUNTS = MARKS + 4 * (CONTAINERS + SINGLES)
SLOTS = 32768


class Table:
    """The file `users` of an instance: a mark for each range, the user and 1, and how many registrations users have."""

    def __init__(self, service):
        self.path = os.path.join(service.run, 'nsresource/users')

    def marks(self):
        with open(self.path, 'rb') as file:
            return struct.unpack_from('=%dI' % (CONTAINERS + SINGLES), file.read(), MARKS)

    def user_of(self, start):
        index = (start - 524288) // 65536 if start >= 524288 else CONTAINERS + start - 61184
        return self.marks()[index] - 1

    def singles_of(self, user):
        return self.marks()[CONTAINERS:].count(user + 1)

    def set_count(self, user, number):
        """Only for a user whose place in the hash table is no other's."""
        with open(self.path, 'r+b') as file:
            file.seek(COUNTS + 8 * (user % SLOTS))
            file.write(struct.pack('=Q', (user + 1) << 32 | number))

    def count(self, user):
        with open(self.path, 'rb') as file:
            file.seek(COUNTS + 8 * (user % SLOTS))
            slot, = struct.unpack('=Q', file.read(8))
        return slot & 0xffffffff if slot >> 32 == user + 1 else 0


def churn(uid, most):
    """Single ids for fresh namespaces, one after the other, each released at once, until one is refused or there are
    so many; gives how many there were, and the last answer."""
    answer = None
    with Conn(uid) as connection:
        for number in range(most):
            answer = try_allocate(connection, uid=uid, size=1, name=next(NAMES)).ident()
            if answer != 'ok':
                return number, answer
    return most, answer


# Run by a copy of the interpreter that is owned by an id of the range, and set-user-ID. It has to be its owner alone,
# and dumpable, to make namespaces.
COPY = '''
import ctypes, os, sys
uid = os.geteuid()
os.setresuid(uid, uid, uid)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
directory, socket, most = sys.argv[1:]
sys.path.insert(0, directory)
import nslib
nslib.CFG.update(socket=socket, scale=4.0)
number, answer = 0, 'ok'
with nslib.Conn() as connection:
    while number < int(most) and answer == 'ok':
        answer = nslib.try_allocate(connection, size=1, name='c%d' % number).ident()
        number += answer == 'ok'
print(uid, number, answer)
'''


class Registrations(DaemonTest):
    def fill(self, uid, number):
        """So many registrations of `type: self`, which live to the end of the test; gives the last answer."""
        with Conn(uid) as connection:
            for _ in range(number):
                fd = make_userns(uid)
                self.open.callback(os.close, fd)
                answer = try_allocate(connection, fd=fd, size=1, type='self', name=next(NAMES)).ident()
                if answer != 'ok':
                    return answer
        return 'ok'

    def register(self, uid):
        fd = self.keep(harness.Namespace(make_userns(uid, maps=[(0, uid, 1)]))).fd
        with Conn(uid) as connection:
            return connection.call(REGISTER, {'name': next(NAMES), UFD: 0}, [fd]).ident()

    def test_all_uids_of_a_user_together(self):
        service = self.instance()
        one = self.keep(alloc(uid=ANNA))
        single = self.keep(alloc(uid=one.start + 5, size=1, name='s'))
        uids = [ANNA, one.start, one.start + 1, one.start + 65535, single.start]
        for uid in uids:
            eq(self.fill(uid, 50), 'ok', 'below the bound')
        left = MAX_REGISTRATIONS - 2 - 50 * len(uids)
        eq(self.fill(one.start + 7, left - 1), 'ok', 'below the bound')
        eq(self.register(one.start + 4711), 'ok', 'the last one')
        eq(Table(service).count(ANNA), MAX_REGISTRATIONS, 'count')
        for uid in uids + [one.start + 30000]:
            eq(self.fill(uid, 1), 'System:EUSERS', 'beyond the bound')
            eq(self.register(uid), 'System:EUSERS', 'beyond the bound')
        eq(self.fill(BERTA, 3), 'ok', 'another user')
        eq(self.register(0), 'ok', 'another user')

    def test_one_more_when_one_has_died(self):
        service = self.instance()
        one = self.keep(alloc(uid=ANNA))
        eq(self.fill(one.start + 1, MAX_REGISTRATIONS - 2), 'ok', 'below the bound')
        last = alloc(uid=one.start + 2, size=1, name='s')
        eq(self.fill(ANNA, 1), 'System:EUSERS', 'beyond the bound')
        last.close()
        wait_until(lambda: Table(service).count(ANNA) < MAX_REGISTRATIONS, 'the release')
        eq(self.fill(ANNA, 1), 'ok', 'after the release')

    def test_foreign_ids_are_one_user(self):
        service = self.instance()
        for uid in (FOREIGN, FOREIGN + 1, FOREIGN + 65534):
            eq(self.fill(uid, 2), 'ok', 'below the bound')
        eq(Table(service).count(FOREIGN), 6, 'count')

    def test_counts_of_the_registry_after_a_start(self):
        service = self.instance()
        one = self.keep(alloc(uid=ANNA))
        eq(self.fill(one.start + 1, 3), 'ok', 'registrations')
        for ending in (service.stop, service.kill):
            Table(service).set_count(ANNA, 200)
            ending()
            service.start()
            eq(Table(service).count(ANNA), 4, 'count after the start')

    def test_wrong_count(self):
        """As a worker leaves it that is killed between record and count."""
        service = self.instance()
        self.keep(alloc(uid=ANNA))
        Table(service).set_count(ANNA, MAX_REGISTRATIONS + 7)
        eq(self.fill(ANNA, 1), 'ok', 'once they were counted anew')
        eq(Table(service).count(ANNA), 2, 'count')

    def test_failed_calls_do_not_count(self):
        service = self.instance()
        one = self.keep(alloc(uid=ANNA))
        with Conn(ANNA) as connection:
            for _ in range(20):
                eq(try_allocate(connection, uid=ANNA, name=one.name.split('-', 1)[1]).ident(), 'NameExists', 'answer')
        eq(Table(service).count(ANNA), 1, 'count')


class Resolution(DaemonTest):
    def test_root_below_a_user(self):
        """The user can have the ids of a range that it was given, no matter who asks for a namespace below its own."""
        service = self.instance()
        table = Table(service)
        one = self.keep(alloc(uid=ANNA, delegateContainerRanges=2))
        given = {start for _, start, _ in one.um}
        below = alloc(parent=one.fd, delegateContainerRanges=1)
        self.assertLess({start for _, start, _ in below.um}, given)
        eq({table.user_of(start) for start in given}, {ANNA}, 'while it lives')
        below.close()
        wait_until(lambda: not any(name.startswith('i%d.' % below.inode) for name in service.files()), 'the release')
        eq({table.user_of(start) for start in given}, {ANNA}, 'afterwards')

    def chain(self):
        """Ranges of one user that were each asked for by an id of the one before."""
        found = [self.keep(alloc(uid=ANNA, delegateContainerRanges=1))]
        for _ in range(3):
            found.append(self.keep(alloc(uid=found[-1].start + 3, name='s')))
        return {start for one in found for _, start, _ in one.um}

    def test_table_is_lost(self):
        service = self.instance()
        starts = self.chain()
        other = self.keep(alloc(uid=BERTA))
        for damage in (os.unlink, lambda path: os.truncate(path, 100), lambda path: os.truncate(path, 1 << 20)):
            service.may_stay = ('nsresource/users.damaged',)
            service.stop()
            damage(Table(service).path)
            service.start()
            table = Table(service)
            eq({table.user_of(start) for start in starts}, {ANNA}, 'user')
            eq((table.user_of(other.start), table.count(ANNA), table.count(BERTA)), (BERTA, 4, 1), 'the other one')

    def test_after_its_release(self):
        service = self.instance()
        one = alloc(uid=ANNA)
        start = one.start
        one.close()
        service.wait_empty()
        service.stop()
        service.start()
        eq(Table(service).user_of(start), ANNA, 'user')

    def test_all_users_can_read_it(self):
        service = self.instance()
        eq(os.stat(Table(service).path).st_mode & 0o7777, 0o644, 'mode')


class Share(DaemonTest):
    """At the level `quarantine` a user can have a sixteenth of the pool; single ids, of which there are fewer."""

    def service(self):
        return self.instance(enforcement='quarantine')

    def refuse_all(self, uids):
        for uid in uids:
            eq(churn(uid, 1), (0, 'NoDynamicRange'), 'beyond the share, uid %d' % uid)

    def test_all_uids_of_a_user_together(self):
        service = self.service()
        living, dead = self.keep(alloc(uid=ANNA)), alloc(uid=ANNA)
        dead.close()
        single = self.keep(alloc(uid=living.start + 1, size=1, name='s'))
        wait_until(lambda: len(service.files('registry')) == 12, 'the release')
        uids = [ANNA, living.start + 5, dead.start + 7, single.start, living.start + 65535]
        for uid in uids:
            eq(churn(uid, 50), (50, 'ok'), 'within the share')
        left = SHARE_OF_SINGLES - 1 - 50 * len(uids)
        eq(churn(dead.start, left + 1), (left, 'NoDynamicRange'), 'the last ones')
        self.refuse_all(uids + [living.start + 4711, dead.start + 65535])
        eq(Table(service).singles_of(ANNA), SHARE_OF_SINGLES, 'charged')
        eq(churn(BERTA, 5), (5, 'ok'), 'another user')
        eq(churn(0, 5), (5, 'ok'), 'root')
        self.assertIn('User %d ' % ANNA, service.text())
        self.assertIn("%d of the %d" % (SHARE_OF_SINGLES, SHARE_OF_SINGLES), service.text())
        self.assertIn("'nsresourcectl reclaim'", service.text())

    def copy(self, owner):
        """A set-user-ID copy of the interpreter, where such files have their effect."""
        python = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable
        for place in ('/dev/shm', '/tmp', '/var/tmp'):
            if os.statvfs(place).f_flag & os.ST_NOSUID:
                continue
            directory = tempfile.mkdtemp(prefix='nsr-copy.', dir=place)
            self.open.callback(shutil.rmtree, directory)
            os.chmod(directory, 0o755)
            shutil.copy(nslib.__file__, directory)
            path = os.path.join(directory, 'python3')
            shutil.copyfile(os.path.realpath(python), path)
            os.chown(path, owner, owner)
            os.chmod(path, 0o4755)
            return path
        self.skipTest('no directory where set-user-ID files have their effect')

    def run_copy(self, service, path, most):
        """By a process of Anna's, outside of any namespace of hers."""
        command = [path, '-c', COPY, os.path.dirname(path), service.socket, str(most)]
        ended = subprocess.run(command, user=ANNA, group=ANNA, extra_groups=[], capture_output=True, text=True,
                               env={'PYTHONDONTWRITEBYTECODE': '1'}, cwd='/', timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        uid, number, answer = ended.stdout.split()
        eq(int(uid), os.stat(path).st_uid, 'uid of the copy')
        return int(number), answer

    def test_set_user_id_copy(self):
        service = self.service()
        one = alloc(uid=ANNA)
        path = self.copy(one.start + 9)
        eq(self.run_copy(service, path, 10), (10, 'ok'), 'while the range lives')
        one.close()
        service.wait_empty()
        eq(self.run_copy(service, path, 10), (10, 'ok'), 'after its release')
        eq(Table(service).singles_of(ANNA), 20, 'charged')
        left = SHARE_OF_SINGLES - 20
        eq(churn(ANNA, left + 1), (left, 'NoDynamicRange'), 'the rest of the share')
        eq(self.run_copy(service, path, 1), (0, 'NoDynamicRange'), 'beyond the share')

    def test_refused_calls_cost_nothing(self):
        service = self.service()
        one = self.keep(alloc(uid=ANNA, size=1, name='same'))
        with Conn(ANNA) as connection:
            for _ in range(300):
                eq(try_allocate(connection, uid=ANNA, size=1, name='same').ident(), 'NameExists', 'the name')
            fd = self.keep(harness.Namespace(make_userns(ANNA)))
            for _ in range(20):  # one that has no empty maps
                self.assertNotEqual(try_allocate(connection, fd=one.fd, size=1).ident(), 'ok')
                self.assertEqual(try_allocate(connection, fd=fd.fd, size=1, delegateContainerRanges=17).ident(),
                                 'TooManyDelegations')
        eq(Table(service).singles_of(ANNA), 1, 'charged')
        left = SHARE_OF_SINGLES - 1
        eq(churn(ANNA, left + 1), (left, 'NoDynamicRange'), 'the rest of the share')

    def test_calls_that_meet_cost_one_each(self):
        """Four clients that want the same names at the same time: those who lose pay nothing."""
        service = self.service()
        rounds = 12

        def compete(control):
            close_but(control.fileno())
            become(ANNA)
            won = 0
            with Conn() as connection:
                control.send(b'x')
                control.recv(1)
                for number in range(rounds):
                    answer = try_allocate(connection, uid=0, size=1, name='n%d' % number,
                                          delegateContainerRanges=1).ident()
                    won += answer == 'ok'
            control.send(b'%d' % won)
            control.recv(1)
        children = [self.keep(Child(compete)) for _ in range(4)]
        for child in children:
            child.hello()
        for child in children:
            child.s.send(b'x')
        won = sum(int(recv_fds(child.s)[0]) for child in children)
        self.assertGreaterEqual(won, rounds)
        table = Table(service)
        eq((table.singles_of(ANNA), table.marks()[:CONTAINERS].count(ANNA + 1)), (won, won), 'charged')

    def test_over_restarts_and_reboots(self):
        service = self.service()
        eq(churn(ANNA, SHARE_OF_SINGLES + 1), (SHARE_OF_SINGLES, 'NoDynamicRange'), 'the share')
        service.wait_empty()

        def reboot():
            service.stop()
            shutil.rmtree(service.run)
            os.mkdir(service.run, 0o755)

        for ending in (service.stop, service.kill, reboot, reboot):
            ending()
            service.start()
            self.refuse_all([ANNA])
            eq(churn(BERTA, 1), (1, 'ok'), 'another user')

    def test_after_a_power_failure(self):
        """What was written when ranges were marked ahead is known, and that is all but the last of them."""
        service = self.service()
        eq(churn(ANNA, 200), (200, 'ok'), 'within the share')
        service.wait_empty()
        service.kill()
        shutil.rmtree(service.run)
        os.mkdir(service.run, 0o755)
        service.start()
        known = Table(service).singles_of(ANNA)
        self.assertTrue(100 <= known <= 200, known)

    def test_damaged_copy(self):
        service = self.service()
        eq(churn(ANNA, 3), (3, 'ok'), 'within the share')
        service.wait_empty()
        service.stop()
        path = os.path.join(service.state, 'users')
        with open(path, 'r+b') as file:
            file.seek(120000)
            file.write(b'x')
        shutil.rmtree(service.run)
        os.mkdir(service.run, 0o755)
        service.start()
        self.assertIn('users.damaged', service.text())
        self.assertTrue(os.path.exists(path + '.damaged'))
        eq(Table(service).singles_of(ANNA), 0, 'charged')
        eq(churn(ANNA, 1), (1, 'ok'), 'afterwards')

    def ctl(self, service, *arguments, uid):
        return subprocess.run([program('nsresourcectl'), '--socket=' + service.socket, '--no-pager', *arguments],
                              user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=60)

    def own(self, service, uid):
        return json.loads(self.ctl(service, '--json=short', 'status', uid=uid).stdout)['own']

    def test_what_people_are_told(self):
        service = self.service()
        one = self.keep(alloc(uid=ANNA, size=1, delegateContainerRanges=3))
        eq(self.own(service, ANNA), {
            'uid': ANNA, 'registrations': 1, 'maxRegistrations': 256, 'usedContainer': 3, 'maxContainer': 1791,
            'usedDynamic': 1, 'maxDynamic': 271}, 'own use')
        eq(self.own(service, one.start)['uid'], ANNA, 'user of an id of hers')
        eq(self.own(service, 0), {'uid': 0, 'registrations': 0, 'maxRegistrations': 256, 'usedContainer': 0,
                                  'usedDynamic': 0}, "root's")
        text = self.ctl(service, 'status', uid=one.start).stdout
        for part in ('You count as', 'uid %d' % ANNA, '1 of 256', '3 of 1791', '1 of 271'):
            self.assertIn(part, text)
        churn(ANNA, SHARE_OF_SINGLES)
        said = self.ctl(service, 'run', '--size=1', '--', 'true', uid=ANNA)
        eq(said.returncode, 1, 'exit status')
        for part in ('your share', '271 of 271', 'nsresourcectl reclaim'):
            self.assertIn(part, said.stderr)
        eq(self.ctl(service, 'run', '--size=1', '--', 'true', uid=BERTA).returncode, 0, 'another user')

    def test_status_is_of_now(self):
        service = self.service()

        def fresh():
            return json.loads(self.ctl(service, '--json=short', 'status', uid=ANNA).stdout)['freshDynamic']
        before = fresh()
        eq(churn(ANNA, 3), (3, 'ok'), 'within the share')
        wait_until(lambda: fresh() == before - 3, 'figures of now')


if __name__ == '__main__':
    harness.main()
