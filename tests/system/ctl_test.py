#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsresourcectl against the real daemon, as root and as an unprivileged user; and the demo."""
import contextlib, json, os, shutil, signal, socket, struct, subprocess, threading

import harness
from harness import DaemonTest, alloc, read, wait_until
from nslib import become, recv_fds


def cgroup_mount():
    for line in read('/proc/self/mountinfo').splitlines():
        if ' - cgroup2 ' in line:
            return line.split()[4]
    raise harness.unittest.SkipTest('no cgroup2 is mounted')


def own_cgroup():
    """The directory of the cgroup that this test is in."""
    path = [line[3:] for line in read('/proc/self/cgroup').splitlines() if line.startswith('0::')][0]
    return cgroup_mount() + path.rstrip('/')


def give_cgroup(path, uid):
    for name in ('', 'cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control'):
        os.chown(os.path.join(path, name), uid, uid)


def is_removed(path):
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.exists(path)


def cgroup_of(test, uid=0):
    """A cgroup that belongs to the user, below that of the tests, for as long as the test lasts."""
    path = '%s/nsr-ctl-test-%d-%d' % (own_cgroup(), os.getpid(), uid)
    os.mkdir(path)
    # The last process may be about to end.
    test.addCleanup(wait_until, lambda: is_removed(path), 'removal of ' + path)
    give_cgroup(path, uid)
    return path


def enter_cgroup(path):
    with open(path + '/cgroup.procs', 'w') as file:
        file.write('0')


def cgroups_below(path):
    return [entry.name for entry in os.scandir(path) if entry.is_dir()]


class Tool(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance(enforcement='none')
        # The build folder may lie where an unprivileged user has no way to go.
        self.program = self.service.path('nsresourcectl')
        shutil.copy(harness.program('nsresourcectl'), self.program)

    def arguments(self, *words):
        return [self.program, '--socket=' + self.service.socket, '--no-pager', *words]

    def ctl(self, *words, uid=0, cgroup=None):
        def prepare():
            if cgroup:
                enter_cgroup(cgroup)
            if uid:
                become(uid)
        return subprocess.run(self.arguments(*words), capture_output=True, text=True, timeout=harness.PATIENCE,
                              cwd='/', preexec_fn=prepare)

    def lines(self, *words, **settings):
        """The output of a command that must succeed."""
        ended = self.ctl(*words, **settings)
        self.assertEqual((ended.returncode, ended.stderr), (0, ''))
        return ended.stdout.splitlines()

    @contextlib.contextmanager
    def running(self, *words, cgroup=None):
        """A shell that waits in a namespace; its first line of output has been read."""
        with subprocess.Popen(self.arguments('run', *words, '--', 'sh', '-c', 'echo ready; read line'), text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/',
                              preexec_fn=(lambda: enter_cgroup(cgroup)) if cgroup else None) as process:
            self.assertEqual(process.stdout.readline(), 'ready\n')
            yield process

    def json(self, *words, uid=0):
        ended = self.ctl('--json=short', *words, uid=uid)
        self.assertEqual((ended.returncode, ended.stderr), (0, ''))
        return json.loads(ended.stdout)

    def check_refused(self, status, *words, **settings):
        ended = self.ctl(*words, **settings)
        self.assertEqual((ended.returncode, ended.stdout), (status, ''), ended.stderr)
        self.assertEqual(ended.stderr.strip().count('\n'), 0, ended.stderr)
        self.assertNotEqual(ended.stderr, '')

    def test_run(self):
        for uid in (0, 1000):
            for size in (1, 65536):
                ended = self.ctl('run', '--size=%d' % size, '--', 'sh', '-c', 'id -u; id -g; cat /proc/self/uid_map',
                                 uid=uid)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                ids, gids, line = ended.stdout.strip().split('\n')
                self.assertEqual((ids, gids), ('0', '0'))
                self.assertEqual(line.split()[::2], ['0', str(size)])

    def test_type_self(self):
        show = ('--', 'sh', '-c', 'id -u; id -g; cat /proc/self/uid_map')
        for uid in (0, 1000):
            ids = self.lines('run', '--type=self', *show, uid=uid)
            self.assertEqual([line.split() for line in ids], [['0'], ['0'], ['0', str(uid), '1']])
            ids = self.lines('run', '--type=self', '--target=%d' % uid, *show, uid=uid)
            self.assertEqual([line.split() for line in ids], [[str(uid)], [str(uid)], [str(uid), str(uid), '1']])
            self.check_refused(2, 'run', '--type=self', '--target=7', *show, uid=uid)
            self.check_refused(2, 'run', '--type=self', '--size=65536', *show, uid=uid)
        self.service.wait_empty()

    def test_target(self):
        show = ('--', 'sh', '-c', 'id -u; id -g; cat /proc/self/gid_map')
        for uid in (0, 1000):
            for size in (1, 65536):
                ids = self.lines('run', '--target=70000', '--size=%d' % size, *show, uid=uid)
                self.assertEqual(ids[:2], ['70000', '70000'])
                self.assertEqual(ids[2].split()[::2], ['70000', str(size)])
            # Beyond the last id.
            self.check_refused(1, 'run', '--target=4294967294', '--', 'true', uid=uid)
        self.service.wait_empty()

    def test_delegated_and_foreign_ranges(self):
        for uid in (0, 1000):
            ids = [line.split() for line in
                   self.lines('run', '--delegate=3', '--map-foreign', '--', 'cat', '/proc/self/uid_map', uid=uid)]
            self.assertEqual(len(ids), 5)
            self.assertEqual(ids[4], ['2147352576', '2147352576', '65536'])
            for inside, outside, size in ids[1:4]:
                self.assertEqual((inside, size), (outside, '65536'))
        self.service.wait_empty()

    def test_tree_of_namespaces(self):
        for uid in (0, 1000):
            inner = ['nsresourcectl', '--socket=' + self.service.socket, '--no-pager', '--json=short']
            inner[0] = self.program
            script = ' '.join(inner) + ' run --name=child --delegate=1 -- ' + ' '.join(inner) + ' list'
            records = json.loads('\n'.join(self.lines('run', '--name=top', '--delegate=3', '--', 'sh', '-c', script,
                                                      uid=uid)))
            by_name = {record['name'].split('-')[-1]: record for record in records}
            self.assertEqual(set(by_name), {'top', 'child'})
            self.assertIsNone(by_name['top']['parent'])
            self.assertEqual(by_name['child']['parent'], by_name['top']['userns'])
            self.service.wait_empty()
            tree = self.lines('run', '--name=top', '--delegate=3', '--', 'sh', '-c',
                              script.replace('--json=short', '--json=off'), uid=uid)
            rows = [line.split() for line in tree]
            self.assertEqual(rows[0][-3:], ['DELEGATED', 'CGROUPS', 'LINKS'])
            self.assertRegex(rows[1][0], 'top$')
            self.assertEqual(rows[1][-3:], ['3', '-', '-'])
            self.assertRegex(rows[2][0], '^(`-|└─).*child$')
            self.assertEqual(rows[2][-3:], ['1', '-', '-'])
            self.service.wait_empty()

    def test_show_says_who_holds_a_delegated_range(self):
        with self.running('--name=top', '--delegate=2'):
            shown = self.json('show', 'top')
            self.assertEqual(shown['delegateHolders'], [shown['userns']] * 2)
            self.assertIsNone(shown['parent'])
            self.assertEqual(self.ctl('show', 'top').stdout.count('Delegated: '), 2)
        self.service.wait_empty()
        script = "{0} run --name=child --delegate=1 -- sh -c '{0} --json=short show top; {0} show top'"
        program = '%s --no-pager --socket=%s' % (self.program, self.service.socket)
        ended = self.ctl('run', '--name=top', '--delegate=2', '--', 'sh', '-c', script.format(program))
        record = json.loads(ended.stdout.splitlines()[0])
        self.assertIn(record['userns'], record['delegateHolders'])
        self.assertEqual(len(set(record['delegateHolders'])), 2)
        self.assertRegex(ended.stdout, 'handed on to [0-9]+-child')
        self.assertRegex(ended.stdout, 'range of [0-9]+-child')
        self.service.wait_empty()

    def test_register(self):
        for uid in (0, 1000):
            with subprocess.Popen(['unshare', '-Ur', 'sh', '-c', 'echo ready; read line'], text=True, cwd='/',
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  preexec_fn=(lambda: become(uid)) if uid else None) as process:
                self.assertEqual(process.stdout.readline(), 'ready\n')
                prefix = '%d-' % uid if uid else ''
                pid = str(process.pid)
                self.assertEqual(self.lines('register', '--name=box', pid, uid=uid), [prefix + 'box'])
                self.assertEqual([record['name'] for record in self.json('list')], [prefix + 'box'])
                self.assertIn('registered', self.ctl('list').stdout)
                self.check_refused(1, 'register', pid, uid=uid)  # it is there already
                self.check_refused(1, 'register', '/proc/%s/ns/user' % pid, uid=uid)
                if uid == 0:
                    self.check_refused(1, 'register', '--name=other', pid, uid=1000)
            self.service.wait_empty()

    def test_register_at_a_path_without_a_name(self):
        with subprocess.Popen(['unshare', '-Ur', 'sh', '-c', 'echo ready; read line'], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), 'ready\n')
            name = self.json('register', '/proc/%d/ns/user' % process.pid)['name']
            self.assertIn(name, [record['name'] for record in self.json('list')])
        self.service.wait_empty()

    def test_register_what_is_no_namespace(self):
        fifo = self.service.path('fifo')
        os.mkfifo(fifo, 0o666)
        for what in ('/', '/proc/self/ns/net', '/no/such/file', '4194304', fifo, '/proc/self/ns/user'):
            for uid in (0, 1000):
                with self.subTest(what):
                    self.check_refused(1, 'register', what, uid=uid)

    def test_network(self):
        for uid in (0, 1000):
            devices = self.lines('run', '--network=veth', '--', 'cat', '/proc/net/dev', uid=uid)
            self.assertIn('host0', [line.split(':')[0].strip() for line in devices])
            shown = self.lines('run', '--network=tap', '--', 'sh', '-c', 'echo $NSRESOURCE_TAP_NAME; '
                               'ls /sys/class/net/; readlink /proc/self/fd/$NSRESOURCE_TAP_FD', uid=uid)
            self.assertIn(shown[0], shown[1:-1])
            self.assertEqual(shown[-1], '/dev/net/tun')
            both = self.lines('run', '--network=veth', '--network=tap', '--', 'sh', '-c',
                              'cat /proc/net/dev; echo $NSRESOURCE_TAP_NAME; echo /proc/self/fd/*', uid=uid)
            self.assertIn('host0:', ' '.join(both))
            self.assertRegex(both[-2], '^ns-[0-9a-f]{12}$')
            self.service.wait_empty()
            wait_until(lambda: not [name for name in os.listdir('/sys/class/net') if name == both[-2]], 'no tap')

    def test_command_has_no_other_descriptors(self):
        look = ('sh', '-c', 'ls /proc/$$/fd')
        usual = subprocess.run(look, capture_output=True, text=True).stdout.split()
        own = cgroup_of(self)
        for options in ((), ('--network=veth', '--control-group', '--delegate=1')):
            self.assertEqual(self.lines('run', *options, '--', *look, cgroup=own), usual)
        self.wait_removed(own)

    def check_cgroup(self, uid, parent, *options):
        path = self.lines('run', '--name=grp', *options, '--', 'sh', '-c', 'grep ^0:: /proc/self/cgroup; '
                          'mkdir {0}{1}/more && echo made'.format(cgroup_mount(), '$(sed -n s/^0:://p /proc/$$/cgroup)'),
                          uid=uid, cgroup=parent)
        self.assertEqual(path[1:], ['made'])
        self.service.wait_empty()
        return cgroup_mount() + path[0][3:]

    def test_control_group(self):
        for uid in (0, 1000):
            own = cgroup_of(self, uid)
            name = 'ns-1000-grp' if uid else 'ns-grp'
            self.assertEqual(self.check_cgroup(uid, own, '--control-group'), '%s/%s/command' % (own, name))
            self.wait_removed(own)
            given = own + '/given'
            os.mkdir(given)
            give_cgroup(given, uid)
            self.assertEqual(self.check_cgroup(uid, own, '--control-group=' + given), given + '/command')
            self.wait_removed(own)

    def test_control_group_in_list_and_show(self):
        own = cgroup_of(self)
        with self.running('--name=grp', '--control-group', '--network=veth', cgroup=own):
            for uid in (0, 1000):
                shown = self.json('show', 'grp', uid=uid)
                self.assertEqual([cgroup_mount() + path for path in shown['cgroupPaths']], [own + '/ns-grp'])
                self.assertIn('/ns-grp', self.ctl('show', 'grp', uid=uid).stdout)
                row = self.lines('list', uid=uid)[1].split()
                self.assertEqual(row[-3:-1], ['-', '1'])
                self.assertEqual(row[-1:], shown['netifs'])
        self.wait_removed(own)

    def wait_removed(self, own):
        wait_until(lambda: not cgroups_below(own), 'removal of the cgroup')

    def check_no_cgroup(self, own, *options, uid=0):
        before = cgroups_below(own)
        self.check_refused(1, 'run', *options, '--', 'true', uid=uid, cgroup=own)
        self.assertEqual(cgroups_below(own), before)

    def test_control_group_that_cannot_be_had(self):
        own = cgroup_of(self)
        self.check_no_cgroup(own, '--control-group', uid=1000)
        self.check_no_cgroup(own, '--control-group=' + own, uid=1000)
        for path in ('/proc', '/no/such/path', own + '/cgroup.procs'):
            self.check_no_cgroup(own, '--control-group=' + path)
        for name in ('a/b', '..', '/'):
            self.check_no_cgroup(own, '--control-group', '--name=' + name)
        self.service.wait_empty()

    def test_control_group_of_a_name_that_is_taken(self):
        own = cgroup_of(self)
        with self.running('--name=grp'):
            self.check_no_cgroup(own, '--name=grp', '--control-group')
        self.service.wait_empty()
        with self.running('--name=grp', '--control-group', cgroup=own):
            self.check_no_cgroup(own, '--name=grp', '--control-group')
        self.wait_removed(own)
        self.service.wait_empty()
        os.mkdir(own + '/ns-grp')
        self.check_no_cgroup(own, '--name=grp', '--control-group')
        os.rmdir(own + '/ns-grp')

    def test_exit_statuses_and_signals(self):
        for uid in (0, 1000):
            for status in (0, 1, 3, 42, 255):
                self.assertEqual(self.ctl('run', '--', 'sh', '-c', 'exit %d' % status, uid=uid).returncode, status)
            for name in ('TERM', 'KILL', 'USR1'):
                ended = self.ctl('run', '--', 'sh', '-c', 'kill -%s $$' % name, uid=uid).returncode
                number = getattr(signal, 'SIG' + name)
                self.assertIn(ended, (-number, 128 + number))

    def test_signal_from_outside_is_passed_on(self):
        running = subprocess.Popen(self.arguments('run', '--name=sig', '--', 'sh', '-c',
                                                  'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done'),
                                   stdout=subprocess.PIPE, text=True)
        with running:
            self.assertEqual(running.stdout.readline(), 'ready\n')
            running.send_signal(signal.SIGTERM)
            self.assertEqual(running.wait(harness.PATIENCE), 7)

    def test_command_that_is_missing(self):
        ended = self.ctl('run', '--', 'no-such-command')
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn('no-such-command', ended.stderr)
        self.service.wait_empty()

    def test_list_and_show(self):
        for uid in (0, 1000):
            self.assertEqual(self.json('list', uid=uid), [])
        one, two = self.keep(alloc(name='one')), self.keep(alloc(name='two', uid=1000, size=1))
        for uid in (0, 1000):
            self.assertEqual(sorted(entry['name'] for entry in self.json('list', uid=uid)), ['1000-two', 'one'])
            for what in ('one', str(one.start), str(one.start + 65535)):
                self.assertIn('one', json.dumps(self.json('show', what, uid=uid)))
            self.assertIn('1000-two', self.ctl('show', str(two.start), uid=uid).stdout)
            self.assertIn('1000-two', self.ctl('list', uid=uid).stdout)
            self.check_refused(1, 'show', 'nobody-has-this', uid=uid)
            self.check_refused(1, 'show', str(one.start + 65536 * 5), uid=uid)

    def test_status(self):
        for uid in (0, 1000):
            shown = self.json('status', uid=uid)
            self.assertEqual((shown['pid'], shown['enforcement'], shown['answers']), (self.service.pid, 'none', True))
            self.assertIn('none', self.ctl('status', uid=uid).stdout)

    def test_status_when_it_is_down(self):
        self.service.stop()
        self.assertEqual(self.ctl('status').returncode, 1)
        self.check_refused(1, 'run', '--', 'true')
        self.service.start()

    def test_wrong_usage(self):
        for words in ((), ('nothing',), ('run',), ('run', '--size=2', '--', 'true'), ('show',), ('list', 'x'),
                      ('--json=maybe', 'list'), ('register',), ('run', '--delegate=17', '--', 'true'),
                      ('run', '--network=wifi', '--', 'true'), ('run', '--type=none', '--', 'true')):
            with self.subTest(words):
                self.check_refused(2, *words)

    def test_name_that_is_taken(self):
        self.keep(alloc(name='mine'))
        self.check_refused(1, 'run', '--name=mine', '--', 'true')
        self.check_refused(1, 'run', '--name=a/b', '--', 'true', uid=1000)


class Stubborn(harness.unittest.TestCase):
    """A service that hands out everything but cgroups."""

    def setUp(self):
        self.scratch = harness.tempfile.mkdtemp(prefix='nsr-ctl.', dir='/dev/shm')
        self.addCleanup(shutil.rmtree, self.scratch)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.listener.bind(self.scratch + '/socket')
        self.listener.listen()
        self.asked = threading.Event()
        self.cgroup = cgroup_of(self)

    def serve(self, answer):
        connection, _ = self.listener.accept()
        with connection:
            self.answer_until_end(connection, answer)

    def answer_until_end(self, connection, answer):
        while True:
            data, fds = recv_fds(connection)
            for fd in fds:
                os.close(fd)
            if not data:
                return
            if b'AddControlGroup' in data:
                self.asked.set()
                if answer:
                    connection.sendall(answer)
            else:
                connection.sendall(b'{"parameters":{"name":"stub"}}\0')

    def start(self, answer):
        thread = threading.Thread(target=self.serve, args=(answer,))
        thread.start()
        self.addCleanup(thread.join)
        return subprocess.Popen([harness.program('nsresourcectl'), '--socket=%s/socket' % self.scratch, 'run',
                                 '--control-group', '--name=stub', '--', 'true'], stderr=subprocess.PIPE, text=True,
                                preexec_fn=lambda: enter_cgroup(self.cgroup))

    def test_refusal_leaves_no_cgroup(self):
        with self.start(b'{"error":"io.systemd.NamespaceResource.TooManyControlGroups"}\0') as tool:
            self.assertIn('as many cgroups', tool.stderr.read())
            self.assertEqual(tool.wait(harness.PATIENCE), 1)
        self.assertEqual(cgroups_below(self.cgroup), [])

    def test_signal_leaves_no_cgroup(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            self.asked.clear()
            with self.start(None) as tool:
                self.assertTrue(self.asked.wait(harness.PATIENCE))
                self.assertEqual(cgroups_below(self.cgroup), ['ns-stub'])
                tool.send_signal(number)
                self.assertEqual(tool.wait(harness.PATIENCE), -number)
            wait_until(lambda: not cgroups_below(self.cgroup), 'removal of the cgroup')


class Demo(DaemonTest):
    def test_demo_leaves_nothing(self):
        places = ('/dev/shm', '/run', '/tmp', '/var/tmp')
        before = {place: set(os.listdir(place)) for place in places}
        mounts = read('/proc/self/mounts')
        demo = os.path.join(harness.HERE, 'demo.sh')
        ended = subprocess.run([demo, harness.Setting.bin], capture_output=True, text=True, timeout=120)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertNotIn('NOT OK', ended.stdout)
        for place in places:
            new = [name for name in set(os.listdir(place)) - before[place] if 'nsresourced-demo' in name]
            self.assertEqual(new, [])
        self.assertEqual(read('/proc/self/mounts'), mounts)
        wait_until(lambda: not harness.processes_about('nsresourced-demo'), 'end of all its processes')


if __name__ == '__main__':
    harness.main()
