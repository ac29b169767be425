#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed service under a real systemd as process 1, with all of its confinement; see systemd_boot.sh. What the
units take away from the service and it would need shows here, and nowhere else."""
import contextlib, os, shutil, signal, subprocess, sys, tempfile, unittest

import harness, run_conformance
from harness import PATIENCE, Setting, read, wait_until

SOURCE = os.path.dirname(os.path.dirname(harness.HERE))
SOCKET = '/run/systemd/io.systemd.NamespaceResource'
LINKS = ('/run/systemd/userdb/io.systemd.NamespaceResource', '/run/varlink/registry/io.systemd.NamespaceResource')
UNITS = ('nsresourced.socket', 'nsresourced.service')
OTHERS = ('systemd-nsresourced.socket', 'systemd-nsresourced.service')
NEEDED = ('unshare', 'nsenter', 'pivot_root', 'cmake', 'ip', '/lib/systemd/systemd')
# Not in a namespace of control groups, where the root of the tree is out of reach.
ELSEWHERE = ('beyond_cgroup_root_is_refused',)
# A client that has /run, a tmpfs, added to a namespace, and keeps the namespace until its input ends.
HOLDER = '''
import os, sys
sys.path.insert(0, sys.argv[1])
from nslib import MOUNT, UFD, Conn, allocate
made = allocate()
with Conn() as connection:
    run = os.open('/run', os.O_PATH | os.O_DIRECTORY)
    connection.ok(MOUNT, {UFD: 0, 'mountFileDescriptor': 1}, [made.fd, run])
print('done', flush=True)
sys.stdin.read()
'''


def missing():
    """What this machine lacks to do this, or nothing."""
    found = [name for name in NEEDED if not shutil.which(name)]
    if '\toverlay\n' not in read('/proc/filesystems'):
        found.append('overlayfs')
    if not cgroup_mount():
        found.append('cgroup2')
    return ', '.join(found)


def cgroup_mount():
    lines = [line.split() for line in read('/proc/self/mounts').split('\n')]
    return next((line[1] for line in lines if line[2:3] == ['cgroup2']), None)


class Machine:
    """A booted systemd."""

    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix='nsr-systemd.')
        self.cgroup = tempfile.mkdtemp(prefix='nsr-systemd.', dir=cgroup_mount())
        os.chmod(self.cgroup, 0o755)
        self.log = open(self.scratch + '.log', 'w+')
        self.shell = subprocess.Popen(
            ['unshare', '--mount', '--propagation=private', '--pid', '--fork', '--kill-child', '--cgroup', '--uts',
             '--ipc', '--net', os.path.join(harness.HERE, 'systemd_boot.sh'), self.scratch, SOURCE,
             os.path.dirname(Setting.bin)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=self.move)
        self.pid = None
        try:
            wait_until(self.is_up, 'systemd as process 1')
        except BaseException:
            print(self.text(), file=sys.stderr)
            self.close()
            raise

    def move(self):
        with open(os.path.join(self.cgroup, 'cgroup.procs'), 'w') as file:
            file.write('0')

    def is_up(self):
        if self.shell.poll() is not None:
            raise AssertionError('it did not get that far')
        children = read('/proc/%d/task/%d/children' % (self.shell.pid, self.shell.pid)).split()
        if not children or read('/proc/%s/comm' % children[0]) != 'systemd\n':
            return False
        self.pid = int(children[0])
        return self.run('systemctl', 'is-active', 'basic.target').returncode == 0

    def run(self, *words, timeout=PATIENCE):
        """A command inside."""
        return subprocess.run(['nsenter', '--target', str(self.pid), '--all', *words], capture_output=True, text=True,
                              timeout=timeout)

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.shell.kill()
        self.shell.wait()
        wait_until(self.has_no_processes, 'the end of all processes')
        for place, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(place)
        self.log.close()
        os.unlink(self.log.name)
        os.rmdir(self.scratch)

    def has_no_processes(self):
        return 'populated 0' in read(os.path.join(self.cgroup, 'cgroup.events'))


@unittest.skipIf(missing(), 'missing: ' + missing())
class Systemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = Machine()
        cls.addClassCleanup(cls.machine.close)

    def run_inside(self, *words, **settings):
        ended = self.machine.run(*words, **settings)
        self.assertEqual(ended.returncode, 0, '%s: %s' % (words, ended.stderr))
        return ended.stdout.strip()

    def setUp(self):
        self.run_inside('sh', '-c', 'printf "[NamespaceResource]\nEnforcement=none\n" >/etc/nsresourced.conf')
        self.run_inside('systemctl', 'enable', '--quiet', 'nsresourced.service')
        self.run_inside('systemctl', 'start', 'nsresourced.socket')

    def tearDown(self):
        self.run_inside('systemctl', 'stop', *UNITS)

    def state(self, unit):
        return self.machine.run('systemctl', 'is-active', unit).stdout.strip()

    def exists(self, path):
        return self.machine.run('test', '-e', path, '-o', '-L', path).returncode == 0

    def test_units_are_good(self):
        self.assertEqual(self.run_inside('systemd-analyze', 'verify', '--man=no', *UNITS), '')

    def test_boot(self):
        """The units were enabled when the machine was started."""
        said = self.run_inside('journalctl', '--no-pager', '--boot', '_PID=1').split('Reached target basic.target')
        self.assertEqual(len(said), 2, said)
        self.assertIn('Listening on ' + UNITS[0], said[0])
        for complaint in ('ordering cycle', UNITS[0] + ':', UNITS[1] + ':'):
            self.assertNotIn(complaint, said[0])

    def test_first_client_starts_the_service(self):
        self.assertEqual([self.state(unit) for unit in UNITS], ['active', 'inactive'])
        self.assertEqual(self.run_inside('stat', '-c', '%a', SOCKET), '666')
        for link in LINKS:
            self.assertEqual(self.run_inside('realpath', link), SOCKET)
        self.run_inside('nsresourcectl', 'status')
        self.assertEqual([self.state(unit) for unit in UNITS], ['active', 'active'])
        self.assertIn('Enforcement: none', self.run_inside('systemctl', 'show', '-P', 'StatusText', UNITS[1]))

    def test_restart_keeps_the_socket(self):
        self.run_inside('systemctl', 'start', UNITS[1])
        before = self.run_inside('stat', '-c', '%i', SOCKET)
        self.run_inside('systemctl', 'restart', UNITS[1])
        self.assertEqual(self.run_inside('stat', '-c', '%i', SOCKET), before)

    def test_stop_leaves_no_socket(self):
        self.run_inside('systemctl', 'stop', *UNITS)
        for path in (SOCKET, *LINKS):
            self.assertFalse(self.exists(path), path)
        self.assertTrue(self.exists('/run/systemd/nsresource/registry'), 'the registry outlives the service')

    def test_killed_manager_is_started_again(self):
        self.run_inside('systemctl', 'start', UNITS[1])
        first = self.run_inside('systemctl', 'show', '-P', 'MainPID', UNITS[1])
        self.run_inside('kill', '-KILL', first)

        def is_another():
            now = self.run_inside('systemctl', 'show', '-P', 'MainPID', UNITS[1])
            return now not in ('0', first) and self.state(UNITS[1]) == 'active'
        wait_until(is_another, 'another manager')

    def test_stands_in_for_the_other_service(self):
        self.run_inside('systemctl', 'stop', *UNITS)
        self.run_inside('systemctl', 'disable', '--quiet', *UNITS)
        with self.other_service():
            self.run_inside('systemctl', 'enable', '--quiet', UNITS[1])
            self.run_inside('systemctl', 'start', *OTHERS)
            self.assertEqual([self.state(unit) for unit in UNITS], ['active', 'active'])
            self.run_inside('systemctl', 'stop', *UNITS)

    def test_gives_way_to_the_other_service(self):
        """Where both are installed and ours is not enabled, one ends when the other starts."""
        self.run_inside('systemctl', 'stop', *UNITS)
        self.run_inside('systemctl', 'disable', '--quiet', *UNITS)
        with self.other_service():
            self.run_inside('systemctl', 'start', *UNITS)
            self.run_inside('systemctl', 'start', OTHERS[0])
            self.assertEqual([self.state(unit) for unit in UNITS], ['inactive', 'inactive'])
            self.run_inside('systemctl', 'start', *UNITS)
            self.assertEqual(self.state(OTHERS[0]), 'inactive')
            self.run_inside('systemctl', 'stop', *UNITS)

    @contextlib.contextmanager
    def other_service(self):
        """Units as that one has them are installed, too."""
        texts = ('[Socket]\nListenStream=%s\n' % SOCKET,
                 '[Unit]\nRequires=%s\n[Service]\nExecStart=sleep infinity\n' % OTHERS[0])
        paths = ['/usr/lib/systemd/system/' + name for name in OTHERS]
        for path, text in zip(paths, texts):
            self.run_inside('sh', '-c', 'printf "%s" "$1" >' + path, 'sh', text)
        self.run_inside('systemctl', 'daemon-reload')
        try:
            yield
        finally:
            self.machine.run('systemctl', 'stop', *OTHERS)
            self.run_inside('rm', *paths)
            self.run_inside('systemctl', 'daemon-reload')

    def test_pinned_mount_outlasts_a_restart(self):
        client = subprocess.Popen(['nsenter', '--target', str(self.machine.pid), '--all', 'python3', '-B', '-c', HOLDER,
                                   os.path.join(SOURCE, 'tests/conformance')],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with client:
            self.assertEqual(client.stdout.readline(), 'done\n')
            stored = lambda: self.run_inside('systemctl', 'show', '-P', 'NFileDescriptorStore', UNITS[1])
            wait_until(lambda: stored() == '1', 'the mount in the store of systemd')
            self.run_inside('systemctl', 'restart', UNITS[1])
            self.assertEqual(stored(), '1')
            client.stdin.close()
            wait_until(lambda: stored() == '0', 'an empty store after the death of the namespace')
        self.assertEqual(client.returncode, 0)

    @unittest.skipUnless(os.path.exists('/usr/lib/polkit-1/polkitd'), 'no polkitd')
    def test_polkit_is_asked(self):
        rule = ('polkit.addRule(function(action, subject) { if (action.id.indexOf("io.systemd.namespace-resource.") == 0'
                ' && subject.user == "games") return polkit.Result.NO; });')
        path = '/etc/polkit-1/rules.d/10-nsresourced-test.rules'
        self.run_inside('sh', '-c', 'printf "%s" "$1" >' + path + ' && chmod -R a+rX /etc/polkit-1', 'sh', rule)
        self.run_inside('systemctl', 'restart', 'polkit.service')

        def run_as(user):
            return self.machine.run('setpriv', '--reuid', user, '--clear-groups', 'nsresourcectl', 'run', '--', 'true')
        self.assertEqual((run_as('daemon').returncode, run_as('games').returncode), (0, 1))
        self.assertEqual(self.state('polkit.service'), 'active')

    def test_conformance(self):
        suite = os.path.join(SOURCE, 'tests/conformance/run.py')
        command = ['env', 'PYTHONDONTWRITEBYTECODE=1', 'python3', suite, '--scale', '3', '--registry',
                   '/run/systemd/nsresource/registry', '--restart', 'systemctl restart nsresourced.service', '--stop',
                   'systemctl stop ' + ' '.join(UNITS), '--start', 'systemctl start ' + ' '.join(UNITS)]
        for group in run_conformance.GROUPS:
            command += ['--group', group]
        said = self.machine.run(*command, timeout=600).stdout
        lines = [line for line in said.split('\n') if not any(case in line for case in ELSEWHERE)]
        wrong = run_conformance.judge(lines)
        if wrong:
            print(self.machine.run('journalctl', '--no-pager', '--unit=nsresourced.service').stdout[-8000:])
        self.assertEqual(wrong, [])


if __name__ == '__main__':
    harness.main()
