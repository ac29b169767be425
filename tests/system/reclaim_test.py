#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsresourcectl reclaim: a used range comes back only if nothing is left of it, wherever that may hide."""
import contextlib, ctypes, ctypes.util, json, os, shutil, socket, struct, subprocess

import harness
from harness import DaemonTest, alloc, state_of, wait_until
from nslib import Conn, eq, try_allocate
from quarantine_test import CONTAINERS, SINGLES, used_file

LIBC = ctypes.CDLL(None, use_errno=True)
SIZE = 65536
FIRST = {65536: 524288, 1: 61184}
IPC_PRIVATE, IPC_RMID, IPC_SET = 0, 0, 1
IO_URING_SETUP, IO_URING_REGISTER, IORING_REGISTER_FILES = 425, 427, 2


def call(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)
    return result


def acl(uid):
    """An access control list that names one user."""
    entries = [(0x01, 6, 0xffffffff), (0x02, 6, uid), (0x04, 4, 0xffffffff), (0x10, 6, 0xffffffff),
               (0x20, 4, 0xffffffff)]
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


def capability(root):
    return struct.pack('<6I', 0x03000000, 1 << 13, 0, 0, 0, root)


def mount(*words):
    subprocess.run(['mount', *words], check=True, capture_output=True)


def unmount(path):
    """All that is mounted there, one over the other."""
    while os.path.ismount(path):
        subprocess.run(['umount', '-R', '-l', path], check=True)


class ReclaimTest(DaemonTest):
    def setUp(self):
        if os.stat('/proc/self/ns/user').st_ino != 0xeffffffd or os.stat('/proc/self/ns/pid').st_ino != 0xeffffffc:
            self.skipTest('not in the first user and process namespaces')
        super().setUp()
        self.service = self.instance(enforcement='quarantine')
        self.place = self.service.path('place')
        os.mkdir(self.place)
        mount('-t', 'tmpfs', 'tmpfs', self.place)
        self.addCleanup(unmount, self.place)

    def ctl(self, *words, status=0, prefix=()):
        ended = subprocess.run(
            [*prefix, harness.program('nsresourcectl'), '--json=short', 'reclaim', '--state-dir=' + self.service.state,
             '--runtime-dir=' + self.service.run, *words], capture_output=True, text=True, timeout=300)
        self.assertIn(ended.returncode, status if isinstance(status, tuple) else (status,), ended.stderr + ended.stdout)
        return json.loads(ended.stdout) if ended.stdout else ended.stderr

    def look(self, *words, paths=None, status=0):
        return self.ctl('--trust-others', *words, *(paths or [self.place]), status=status)

    def next_boot(self):
        """The service is down afterwards, and has been up in this boot."""
        if self.service.pid is not None:
            self.service.stop()
        self.service.reboot()
        self.service.start()
        self.service.stop()

    def used_before(self, count, size=SIZE):
        """The starts of ranges that were used by namespaces which are dead, in an earlier boot; the service is down."""
        starts = self.used(count, size)
        self.next_boot()
        return starts

    def used(self, count, size=SIZE):
        """The same, in this boot; the service is up."""
        starts = []
        for number in range(count):
            one = alloc(name='r%d' % number, size=size)
            starts.append(one.start)
            one.close()
        self.service.wait_empty()
        return starts

    def file(self, name, uid=0, gid=0, place=None):
        path = os.path.join(place or self.place, name)
        with open(path, 'w'):
            pass
        os.chown(path, uid, gid)
        return path

    def is_used(self, start):
        first, offset = (524288, 0) if start >= 524288 else (61184, 3583 * 8)
        index = (start - first) // (SIZE if start >= 524288 else 1)
        with open(os.path.join(self.service.state, 'used'), 'rb') as file:
            return bool(file.read()[16 + (offset + index) // 8] & 1 << (offset + index) % 8)

    def held(self, report):
        return {entry['start']: entry for entry in report['held']}

    def freed(self, report):
        return {entry['start'] for entry in report['freed']}

    def after_next_boot(self, report):
        return {entry['start'] for entry in report['afterNextBoot']}

    def leave(self, how, start):
        """Something that carries an id of the range; gives what takes it away."""
        return getattr(self, 'leave_' + how)(start + 7 if start >= 524288 else start)

    def remove(self, path):
        return lambda: os.unlink(path)

    def leave_uid(self, id):
        return self.remove(self.file('uid', uid=id))

    def leave_gid(self, id):
        return self.remove(self.file('gid', gid=id))

    def leave_symlink(self, id):
        path = os.path.join(self.place, 'link')
        os.symlink('/nonexistent', path)
        os.lchown(path, id, 0)
        return self.remove(path)

    def leave_fifo(self, id):
        path = os.path.join(self.place, 'fifo')
        os.mkfifo(path)
        os.chown(path, id, 0)
        return self.remove(path)

    def leave_acl(self, id):
        path = self.file('acl')
        os.setxattr(path, 'system.posix_acl_access', acl(id))
        return self.remove(path)

    def leave_default_acl(self, id):
        path = os.path.join(self.place, 'directory')
        os.mkdir(path)
        os.setxattr(path, 'system.posix_acl_default', acl(id))
        return lambda: os.rmdir(path)

    def leave_capability(self, id):
        path = self.file('capability')
        os.setxattr(path, 'security.capability', capability(id))
        return self.remove(path)

    def leave_deep(self, id):
        """Deeper than there may be descriptors, and than a path may be long."""
        top = os.open(self.place, os.O_RDONLY)
        here = os.dup(top)
        for _ in range(10000):
            os.mkdir('d' * 9, dir_fd=here)
            below = os.open('d' * 9, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open('found', os.O_CREAT, dir_fd=here))
        os.chown('found', id, 0, dir_fd=here)
        os.close(top)

        def undo():
            os.unlink('found', dir_fd=here)
            os.close(here)
        return undo

    def leave_below_a_mount(self, id):
        path = os.path.join(self.place, 'covered')
        os.mkdir(path)
        self.file('below', uid=id, place=path)
        mount('-t', 'tmpfs', 'tmpfs', path)

        def undo():
            subprocess.run(['umount', path], check=True)
            shutil.rmtree(path)
        return undo

    def leave_deleted_but_open(self, id):
        file = open(self.file('deleted', uid=id))
        os.unlink(file.name)
        return file.close

    def leave_running_program(self, id):
        """A program without a name, which was set-user-ID, and runs with other ids."""
        path = os.path.join(self.place, 'program')
        shutil.copy(shutil.which('sleep'), path)
        os.chown(path, id, id)
        os.chmod(path, 0o6755)
        sleeper = subprocess.Popen(['setpriv', '--no-new-privs', path, '1000'])
        wait_until(lambda: os.readlink('/proc/%d/exe' % sleeper.pid) == path, 'the program')
        os.unlink(path)

        def undo():
            sleeper.kill()
            sleeper.wait()
        return undo

    def leave_process(self, id):
        sleeper = subprocess.Popen(['sleep', '1000'], preexec_fn=lambda: os.setresuid(id, id, id))

        def undo():
            sleeper.kill()
            sleeper.wait()
        return undo

    def leave_group_of_a_process(self, id):
        sleeper = subprocess.Popen(['sleep', '1000'], preexec_fn=lambda: os.setgroups([id]))

        def undo():
            sleeper.kill()
            sleeper.wait()
        return undo

    def leave_shared_memory(self, id):
        pid, made = self.as_user(id, lambda: call(LIBC.shmget(IPC_PRIVATE, 4096, 0o600 | 0o1000), 'shmget'))
        os.waitpid(pid, 0)
        return lambda: call(LIBC.shmctl(made, IPC_RMID, None), 'shmctl')

    def leave_message_queue(self, id):
        rt = ctypes.CDLL(ctypes.util.find_library('rt') or None, use_errno=True)
        name = b'/nsr-reclaim-%d' % os.getpid()
        pid, _ = self.as_user(id, lambda: call(rt.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None), 'mq_open'))
        os.waitpid(pid, 0)
        return lambda: call(rt.mq_unlink(name), 'mq_unlink')

    def as_user(self, id, make):
        """The process that made something as this user, and the number it gave."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setresgid(id, id, id)
                os.setresuid(id, id, id)
                os.write(writing, b'%d' % make())
            finally:
                os._exit(0)
        os.close(writing)
        text = os.read(reading, 20)
        os.close(reading)
        self.assertTrue(text, 'it could not be made')
        return pid, int(text)


class Reclaim(ReclaimTest):
    KINDS = ('uid', 'gid', 'symlink', 'fifo', 'acl', 'default_acl', 'capability', 'deep', 'below_a_mount',
             'deleted_but_open', 'running_program', 'process', 'group_of_a_process', 'shared_memory', 'message_queue')

    def test_everything_is_found(self):
        starts = self.used_before(len(self.KINDS) + 1)
        undo = {}
        with contextlib.ExitStack() as undone:
            for kind, start in zip(self.KINDS, starts):
                undo[kind] = self.leave(kind, start)
                undone.callback(undo[kind])
            report = self.look()
            self.assertEqual(report['problems'], [])
            held = self.held(report)
            for kind, start in zip(self.KINDS, starts):
                with self.subTest(kind):
                    self.assertIn(start, held)
                    self.assertGreaterEqual(held[start]['count'], 1)
                    self.assertTrue(self.is_used(start))
            self.assertEqual(self.freed(report), set(starts[-1:]))
            self.assertFalse(self.is_used(starts[-1]))
        report = self.look()
        self.assertEqual(self.freed(report), set(starts[:-1]))
        self.assertFalse(any(self.is_used(start) for start in starts))
        self.service.start()

    def test_single_ids(self):
        one, other = self.used_before(2, size=1)
        self.file('x', uid=one)
        report = self.look()
        self.assertEqual((set(self.held(report)), self.freed(report)), ({one}, {other}))
        self.service.start()

    def test_dry_run_changes_nothing(self):
        starts = self.used_before(3)
        before = self.contents()
        report = self.look('--dry-run')
        self.assertEqual((self.freed(report), report['dryRun']), (set(starts), True))
        self.assertEqual(self.contents(), before)
        self.service.start()

    def contents(self):
        with open(os.path.join(self.service.state, 'used'), 'rb') as file:
            return file.read()

    def test_paths_alone_free_nothing(self):
        starts = self.used_before(2)
        self.file('x', uid=starts[0])
        report = self.ctl(self.place)
        self.assertEqual((self.freed(report), report['complete']), (set(), False))
        self.assertEqual(set(self.held(report)), {starts[0]})
        self.assertTrue(all(map(self.is_used, starts)))
        self.service.start()

    def test_with_the_service_at_work(self):
        """All are used up; what a living namespace has and what is held stays so, the rest is handed out again."""
        self.service.stop()
        self.service.reboot()
        with open(os.path.join(self.service.state, 'used'), 'wb') as file:
            file.write(used_file([17]))
        self.service.start()
        living = self.keep(alloc(name='living'))
        eq(living.start, FIRST[SIZE] + 17 * SIZE, 'the last one')
        with Conn() as connection:
            eq(try_allocate(connection, name='more').ident(), 'NoDynamicRange', 'when used up')
            held = FIRST[SIZE] + 99 * SIZE
            self.file('x', uid=held)
            report = self.look()
            self.assertEqual(set(self.held(report)), {held})
            self.assertEqual(len(report['freed']), CONTAINERS + SINGLES - 2)
            self.assertTrue(self.is_used(living.start))
            more = self.keep(alloc(name='more', conn=connection))
            self.assertNotIn(more.start, (living.start, held))

    def test_found_but_not_known(self):
        """Left at another level: nobody must get it now."""
        self.service.stop()
        start = FIRST[SIZE] + 1234 * SIZE
        self.file('x', gid=start + 1)
        self.assertFalse(self.is_used(start))
        report = self.look('--dry-run')
        self.assertEqual([entry['start'] for entry in report['marked']], [start])
        self.assertFalse(self.is_used(start))
        self.look()
        self.assertTrue(self.is_used(start))
        self.service.start()

    def test_other_mounts(self):
        """Part of a file system, other ids, hidden by another mount, in another mount namespace."""
        start, = self.used_before(1)
        self.file('x', uid=start)
        mount('-t', 'tmpfs', 'tmpfs', self.place)  # hides it
        mount('--bind', self.place, self.place)
        report = self.ctl(status=(0, 1))  # there may be something else on this machine that proves nothing
        self.assertEqual(set(self.held(report)), {start}, report)
        subprocess.run(['umount', self.place], check=True)
        subprocess.run(['umount', self.place], check=True)
        self.service.start()

    def test_in_another_mount_namespace(self):
        start, = self.used_before(1)
        script = 'mount -t tmpfs tmpfs /mnt && touch /mnt/x && chown %d /mnt/x && echo ready && read wait' % start
        inside = subprocess.Popen(['unshare', '-m', 'sh', '-c', script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(inside.stdout.readline(), b'ready\n')
        report = self.ctl(status=(0, 1))  # there may be something else on this machine that proves nothing
        self.assertEqual(set(self.held(report)), {start}, report)
        self.assertTrue(self.is_used(start))
        inside.communicate(b'\n')
        self.service.start()

    def test_part_of_a_file_system_proves_nothing(self):
        start, = self.used_before(1)
        os.mkdir(self.place + '/part')
        self.file('x', uid=start)
        other = self.service.path('other')
        os.mkdir(other)
        mount('--bind', self.place + '/part', other)
        self.addCleanup(subprocess.run, ['umount', '-l', other], capture_output=True)
        subprocess.run(['umount', self.place], check=True)
        report = self.look(paths=[other], status=1)
        self.assertEqual(self.freed(report), set())
        self.assertTrue(any('parts' in problem for problem in report['problems']), report)
        self.assertTrue(self.is_used(start))
        subprocess.run(['umount', other], check=True)
        self.service.start()

    @contextlib.contextmanager
    def disk(self, kind, *options):
        image = self.service.path('image')
        with open(image, 'wb') as file:
            file.truncate(256 << 20)
        if not shutil.which('mkfs.' + kind):
            self.skipTest('no mkfs.' + kind)
        subprocess.run(['mkfs.' + kind, '-q', image], check=True, capture_output=True)
        where = self.service.path('disk')
        os.mkdir(where)
        try:
            mount('-o', ','.join(['loop', *options]), image, where)
        except subprocess.CalledProcessError as error:
            self.skipTest('no loop device or no %s: %s' % (kind, error.stderr))
        try:
            yield where
        finally:
            subprocess.run(['umount', '-R', where], check=True)

    def test_on_a_disk(self):
        one, other, clean = self.used_before(3)
        with self.disk('ext4') as where:
            os.setxattr(self.file('x', place=where), 'system.posix_acl_access', acl(one))
            os.makedirs(where + '/shown')
            self.file('y', uid=other, place=where)
            # All that is mounted is a part, which is no obstacle where the device is known.
            mount('--bind', where + '/shown', self.place)
            subprocess.run(['umount', where], check=True)
            mount('--bind', self.place, where)
            report = self.look(paths=[self.place])
            self.assertEqual(set(self.held(report)), {one, other}, report)
            self.assertEqual(self.freed(report), {clean})
            subprocess.run(['umount', self.place], check=True)
        self.service.start()

    def test_subvolumes(self):
        start, = self.used_before(1)
        if not shutil.which('btrfs'):
            self.skipTest('no btrfs')
        with self.disk('btrfs') as where:
            for name in ('shown', 'other'):
                subprocess.run(['btrfs', 'subvolume', 'create', where + '/' + name], check=True, capture_output=True)
            self.file('x', uid=start, place=where + '/other')
            subprocess.run(['umount', where], check=True)
            mount('-o', 'loop,subvol=shown', self.service.path('image'), where)
            report = self.look(paths=[where])
            self.assertEqual(set(self.held(report)), {start}, report)
        self.service.start()

    def test_hostile_names(self):
        start, = self.used_before(1)
        path = os.path.join(self.place.encode(), b'a\nP x\x1b[31m\xff\\')
        open(path, 'w').close()
        os.chown(path, start, 0)
        example, = self.held(self.look())[start]['examples']
        self.assertTrue(example.endswith(r'/a\x0aP x\x1b[31m\xff\x5c'), example)
        self.service.start()

    def test_refusals(self):
        self.assertIn('root', self.ctl(status=1, prefix=['setpriv', '--reuid=1', '--clear-groups']))
        self.ctl('--trust-others', status=2)
        self.ctl('--unknown', status=2)
        self.assertIn('host', self.ctl(status=1, prefix=['unshare', '-Ur']))
        self.assertIn('host', self.ctl(status=1, prefix=['unshare', '-pf', '--mount-proc']))


class Hidden(ReclaimTest):
    """What is kept where no tool can look: it ends with the boot, and only then is a range freed."""

    def hide_in_a_queue(self, id):
        """An open file on its way from one socket to another."""
        one, other = socket.socketpair()
        with open(self.file('sent', uid=id)) as file:
            socket.send_fds(one, [b'x'], [file.fileno()])
        os.unlink(file.name)
        return lambda: (one.close(), other.close())

    def hide_in_a_ring(self, id):
        """A file that is registered with io_uring(7)."""
        parameters = ctypes.create_string_buffer(120)
        ring = LIBC.syscall(IO_URING_SETUP, 1, parameters)
        if ring < 0:
            self.skipTest('no io_uring')
        with open(self.file('registered', uid=id)) as file:
            fds = (ctypes.c_int * 1)(file.fileno())
            call(LIBC.syscall(IO_URING_REGISTER, ring, IORING_REGISTER_FILES, fds, 1), 'io_uring_register')
        os.unlink(file.name)
        return lambda: os.close(ring)

    def check(self, hide):
        start, = self.used(1)
        undo = hide(start + 7)
        try:
            for down in (False, True, False):
                if down:
                    self.service.stop()
                report = self.look(*([] if down else ['--dry-run']))
                self.assertEqual((self.freed(report), self.after_next_boot(report)), (set(), {start}))
                self.assertTrue(self.is_used(start))
                if down:
                    self.service.start()
        finally:
            undo()
        self.next_boot()
        report = self.look()
        self.assertEqual((self.freed(report), self.after_next_boot(report)), ({start}, set()))
        self.assertFalse(self.is_used(start))
        self.service.start()

    def test_program_that_runs(self):
        self.check(self.leave_running_program)

    def test_queue_of_a_socket(self):
        self.check(self.hide_in_a_queue)

    def test_registered_with_io_uring(self):
        self.check(self.hide_in_a_ring)


class ThisBoot(ReclaimTest):
    def test_freed_and_used_again(self):
        """A range that was freed in this boot and handed out again has to wait for the next one."""
        start, = self.used_before(1)
        self.assertEqual(self.freed(self.look()), {start})
        with open(os.path.join(self.service.state, 'used'), 'wb') as file:
            file.write(used_file([(start - FIRST[SIZE]) // SIZE]))
        self.service.start()
        self.assertEqual(self.used(1), [start])
        self.service.stop()
        report = self.look()
        self.assertEqual(self.freed(report), set())
        self.assertIn(start, self.after_next_boot(report))
        self.service.start()

    def test_level_none_within_the_boot(self):
        """It hands out used ranges again, and notes none."""
        start, = self.used_before(1)
        self.service.options = ['--enforcement=none']
        self.service.start()
        report = self.ctl('--dry-run', status=1)
        self.assertIn('none', report)
        self.service.stop()
        self.service.options = ['--enforcement=quarantine']
        self.service.start()
        self.service.stop()
        report = self.look()
        self.assertEqual((self.freed(report), self.after_next_boot(report)), (set(), {start}),
                         'the level none may have handed it out')
        self.next_boot()
        self.assertEqual(self.freed(self.look()), {start})
        self.service.start()

    def test_lost_runtime_directory(self):
        """The state directory knows that this boot has begun."""
        start, = self.used(1)
        self.service.stop()
        shutil.rmtree(self.service.run)
        os.mkdir(self.service.run, 0o755)
        self.service.start()
        self.service.stop()
        report = self.look()
        self.assertEqual((self.freed(report), self.after_next_boot(report)), (set(), {start}))
        self.service.start()

    def test_upgrade_within_a_boot(self):
        """An older version kept no record: its ranges may be of this boot."""
        start, = self.used(1)
        self.service.stop()
        os.unlink(os.path.join(self.service.state, 'used-before'))
        self.assertIn('start nsresourced', self.look(status=1))
        self.service.start()
        self.service.stop()
        report = self.look()
        self.assertEqual((self.freed(report), self.after_next_boot(report)), (set(), {start}))
        self.service.start()

    def test_text(self):
        start, = self.used(1)
        self.service.stop()
        ended = subprocess.run([harness.program('nsresourcectl'), 'reclaim', '--state-dir=' + self.service.state,
                                '--runtime-dir=' + self.service.run, '--trust-others', self.place],
                               capture_output=True, text=True, timeout=300)
        self.assertIn('after the next boot: 1: %d-%d\n' % (start, start + SIZE - 1), ended.stdout)
        self.assertIn('Freed: none\n', ended.stdout)
        self.service.start()


class OtherLevels(DaemonTest):
    ctl, is_used = ReclaimTest.ctl, ReclaimTest.is_used

    def test_enforce_between_quarantines(self):
        self.service = service = self.instance(enforcement='quarantine')
        dead = alloc(name='same')
        dead.close()
        service.wait_empty()
        before = self.keep(alloc(name='before'))
        service.stop()
        service.options = ['--enforcement=enforce']
        service.launch()
        wait_until(lambda: state_of(service.pid) in (None, 'Z') or 'READY=1' in service.take_notes(), 'start or end')
        refused = 'it does not start' if state_of(service.pid) in (None, 'Z') else self.refusal()
        if refused:
            service.wait() if 'start' in refused else service.stop()
            service.options = ['--enforcement=quarantine']
            service.start()
            self.skipTest('no level enforce: ' + refused)
        within = self.keep(alloc(name='same'))
        self.assertNotIn(within.start, (dead.start, before.start))
        service.stop()
        service.options = ['--enforcement=quarantine']
        service.start()
        for one in (dead, before, within):
            self.assertTrue(self.is_used(one.start))

    def refusal(self):
        with Conn() as connection:
            return try_allocate(connection, name='probe').ident() == 'UserNamespaceInterfaceNotSupported' and 'refused'

    def test_never_in_quarantine(self):
        self.service = self.instance(enforcement='none')
        self.assertIn('none', self.ctl(status=1))
        self.service.stop()
        self.assertIn('no used ranges', self.ctl(status=1))
        self.service.start()


if __name__ == '__main__':
    harness.main()
