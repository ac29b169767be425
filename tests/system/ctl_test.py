#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nsresourcectl against the real daemon, as root and as an unprivileged user; and the demo."""
import json, os, shutil, signal, subprocess

import harness
from harness import DaemonTest, alloc, read, wait_until
from nslib import become


class Tool(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance(enforcement='none')
        # The build folder may lie where an unprivileged user has no way to go.
        self.program = self.service.path('nsresourcectl')
        shutil.copy(harness.program('nsresourcectl'), self.program)

    def arguments(self, *words):
        return [self.program, '--socket=' + self.service.socket, '--no-pager', *words]

    def ctl(self, *words, uid=0):
        return subprocess.run(self.arguments(*words), capture_output=True, text=True, timeout=harness.PATIENCE,
                              cwd='/', preexec_fn=(lambda: become(uid)) if uid else None)

    def json(self, *words, uid=0):
        ended = self.ctl('--json=short', *words, uid=uid)
        self.assertEqual((ended.returncode, ended.stderr), (0, ''))
        return json.loads(ended.stdout)

    def check_refused(self, status, *words, uid=0):
        ended = self.ctl(*words, uid=uid)
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
                      ('--json=maybe', 'list')):
            with self.subTest(words):
                self.check_refused(2, *words)

    def test_name_that_is_taken(self):
        self.keep(alloc(name='mine'))
        self.check_refused(1, 'run', '--name=mine', '--', 'true')
        self.check_refused(1, 'run', '--name=a/b', '--', 'true', uid=1000)


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
