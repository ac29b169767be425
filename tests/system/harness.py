# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private instance of the service in a scratch directory, for tests with the real daemon. Standard library only."""
import contextlib, glob, os, shutil, signal, sys, tempfile, time, unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'conformance'))
import journal, nslib  # noqa: E402
from clients import Crowd, Namespace, alloc, namespace  # noqa: E402,F401 (for the tests)
from pins import Pins  # noqa: E402
from process import PATIENCE, exit_status, processes_about, read, spawn, state_of, wait_until  # noqa: E402
from service_manager import ServiceManager  # noqa: E402

SKIPPED = 77
nslib.CFG['scale'] = 4.0
SOCKET = 'io.systemd.NamespaceResource'
SIGNS_OF_BUGS = ('AddressSanitizer', 'LeakSanitizer', 'runtime error:', 'Assertion', 'terminate called')


class Setting:
    bin = None


def program(name):
    return os.path.join(Setting.bin, name)


def main():
    """The main program of a test file: FILE DIRECTORY-OF-THE-BINARIES [TEST…]. Exit status 77: skipped."""
    if len(sys.argv) < 2 or not os.access(os.path.join(sys.argv[1], 'nsresourced'), os.X_OK):
        sys.exit('usage: %s DIRECTORY-OF-THE-BINARIES [TEST…]' % sys.argv[0])
    if os.geteuid() != 0:
        print('skipped: only root can run the service')
        sys.exit(SKIPPED)
    Setting.bin = os.path.abspath(sys.argv[1])
    result = unittest.main(argv=sys.argv[:1] + sys.argv[2:], exit=False, verbosity=2, warnings='ignore').result
    if result.wasSuccessful() and result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)


class Instance:
    """One private instance. `scratch` of an earlier one makes it the next on the same directories."""

    def __init__(self, enforcement='none', options=(), env=None, fds=(), names=(), limits=(), scratch=None, bin=None,
                 prepare=None):
        self.scratch = scratch or tempfile.mkdtemp(prefix='nsr-system.', dir='/dev/shm')
        os.chmod(self.scratch, 0o755)
        self.run, self.state = self.path('run'), self.path('state')
        self.log, self.config = self.path('log'), self.path('conf')
        self.socket = os.path.join(self.run, SOCKET)
        self.registry = os.path.join(self.run, 'nsresource/registry')
        self.bin = bin or Setting.bin
        self.options = ['--enforcement=' + enforcement] if enforcement else []
        self.options += options
        self.env = dict(os.environ, **(env or {}))
        self.limits, self.prepare = limits, prepare
        self.pass_on(fds, names)
        self.socket_is_passed = bool(fds)
        self.without_manager = False
        for path in (self.run, self.state):
            os.makedirs(path, exist_ok=True)
        open(self.config, 'a').close()
        self.may_stay = ()
        self.pid = None
        self.manager = None

    def path(self, name):
        return os.path.join(self.scratch, name)

    def pass_on(self, fds, names):
        """At the next start, as sd_listen_fds(3) describes it."""
        self.fds = list(fds)
        self.env.update(LISTEN_FDS=str(len(self.fds)), LISTEN_FDNAMES=':'.join(names))

    @property
    def notes(self):
        return self.manager.notes

    def take_notes(self):
        """All lines that the service has sent to the service manager since its start."""
        return self.manager.take_notes()

    def renew_manager(self):
        """Each start has a service manager of its own, but for what the one before had stored."""
        stored = []
        if self.manager:
            self.manager.take_notes()
            stored, self.manager.stored = self.manager.stored, []
            self.manager.close()
        self.manager = ServiceManager(self.scratch)
        self.manager.stored = stored
        self.env['NOTIFY_SOCKET'] = self.manager.address
        if self.without_manager:
            del self.env['NOTIFY_SOCKET']

    def arguments(self):
        return [os.path.join(self.bin, 'nsresourced'), '--runtime-dir=' + self.run, '--state-dir=' + self.state,
                '--config=' + self.config, *self.options]

    def launch(self):
        """Starts it without waiting for anything."""
        assert self.pid is None, 'it runs already'
        self.renew_manager()
        self.pid = spawn(self.arguments(), self.env, self.log, self.fds, self.limits, self.prepare)
        nslib.CFG.update(socket=self.socket, registry=self.registry)
        return self

    def is_ready(self):
        if state_of(self.pid) in (None, 'Z'):
            raise AssertionError('the service ended at once:\n' + self.text())
        return 'READY=1' in self.take_notes()

    def start(self):
        self.launch()
        wait_until(self.is_ready, 'READY=1')
        return self

    def refuses_to_start(self):
        """It must end by itself with failure; gives its log."""
        self.launch()
        status = self.wait()
        assert status == 1, 'exit status %d instead of 1:\n%s' % (status, self.text())
        assert 'READY=1' not in self.notes, 'it said READY=1'
        return self.text()

    def wait(self, timeout=PATIENCE):
        status = exit_status(self.pid, timeout, self.take_notes)
        self.take_notes()
        self.pid = None
        return status

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        return self.wait()

    def kill(self):
        """SIGKILL for the manager; returns when its workers are gone, too."""
        self.send(signal.SIGKILL)
        self.wait_for_corpse()

    def wait_for_corpse(self):
        """Of a manager that was killed; its status may have been taken already, by its tracer."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.pid = None
        wait_until(lambda: not processes_about(self.run), 'end of the workers')

    def reboot(self):
        """As if the host were started anew, while it is down: the runtime directory is empty then, and what the state
        directory knows about a boot is about an earlier one."""
        assert self.pid is None, 'it runs'
        shutil.rmtree(self.run)
        os.mkdir(self.run, 0o755)
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.state, 'used-before'), 'r+b') as file:
            file.seek(8)
            file.write(b'otherboo')

    def text(self):
        return read(self.log) if os.path.exists(self.log) else ''

    def workers(self):
        with contextlib.suppress(OSError):
            return [int(pid) for pid in read('/proc/%d/task/%d/children' % (self.pid, self.pid)).split()
                    if state_of(int(pid)) not in (None, 'Z', 'X')]
        return []

    def idle_workers(self, count=5):
        """Waits until there are so many and all are up, and gives them."""
        def up():
            found = self.workers()
            return len(found) >= count and all(self.is_up(pid) for pid in found) and found
        return wait_until(up, '%d workers' % count)

    def quiet_workers(self):
        """The same, once nobody has anything to do."""
        def at_rest():
            found = self.idle_workers()
            time.sleep(0.005)
            return self.workers() == found and all(self.is_up(pid) for pid in found) and found
        return wait_until(at_rest, 'quiet')

    def is_up(self, pid):
        # In recvmsg(2) on its channel: it has said that it is ready, or is about to be read by the manager.
        return self.system_call(pid) == SYS_RECVMSG

    def lingers(self, pid):
        # In ppoll(2), for the next request on a connection that it has answered.
        return self.system_call(pid) == SYS_PPOLL

    def system_call(self, pid):
        with contextlib.suppress(OSError, ValueError):
            return int(read('/proc/%d/syscall' % pid).split()[0])
        return None

    def descriptors(self):
        """How many descriptors each process has: the manager's, and the workers' together."""
        count = lambda pid: len(os.listdir('/proc/%d/fd' % pid))
        return count(self.pid), [count(pid) for pid in self.workers()]

    def files(self, directory='registry'):
        """All names below a directory of the runtime directory, the lock aside."""
        top = os.path.join(self.run, 'nsresource', directory)
        found = []
        for place, directories, files in os.walk(top):
            found += [os.path.relpath(os.path.join(place, name), top) for name in directories + files]
        return sorted(set(found) - {'lock'})

    def unfinished(self):
        """Calls that are not finished, as the journal tells."""
        return journal.unfinished(os.path.join(self.run, 'nsresource/journal'))

    def contents(self):
        """Of all files of the registry at some moment: what each holds, and how many names it has."""
        found = {}
        for name in self.files():
            with contextlib.suppress(FileNotFoundError, IsADirectoryError), \
                    open(os.path.join(self.registry, name)) as file:
                found[name] = (file.read(), os.fstat(file.fileno()).st_nlink)
        return found

    @property
    def pins(self):
        """What it has pinned, or an instance before it on the same runtime directory; None: nothing."""
        for path in glob.glob('/sys/fs/bpf/nsresource-*'):
            with contextlib.suppress(OSError):
                if os.readlink(path + '/runtime') == os.path.realpath(self.run):
                    return Pins(path)
        return None

    def wait_empty(self):
        wait_until(lambda: not self.files() and not self.unfinished(), 'an empty registry')

    def leftovers(self):
        """What an instance that has ended must not leave; its registry, locks and state are meant to stay."""
        found = ['process %d' % pid for pid in processes_about(self.run)]
        found += ['mount ' + line for line in read('/proc/self/mounts').split('\n') if self.scratch in line]
        found += ['pins ' + self.pins.path] if self.pins else []
        own = ('registry', 'journal', 'instance', 'manager', 'releasing', 'releasing.next', 'fresh', 'taken', 'users',
               'cgroups', 'walks')
        kept = {'nsresource', 'userdb', *('nsresource/' + name for name in own)}
        for place, directories, files in os.walk(self.run):
            for name in directories + files:
                path = os.path.relpath(os.path.join(place, name), self.run)
                if path not in kept and not path.startswith(('nsresource/registry/', *self.may_stay)):
                    found.append('file ' + path)
        return found


SYS_RECVMSG, SYS_PPOLL = {'x86_64': (47, 271), 'aarch64': (212, 73)}.get(os.uname().machine, (None, None))


class DaemonTest(unittest.TestCase):
    """Ends the instances of a test, and looks for what they left."""

    def instance(self, **settings):
        """A running instance."""
        return self.prepared(**settings).start()

    def prepared(self, **settings):
        """One that has not been started."""
        made = Instance(**settings)
        made.own_scratch = 'scratch' not in settings
        self.addCleanup(self.finish, made)
        return made

    def setUp(self):
        # Connections and namespaces of a test are closed before its instances are looked at.
        self.open = contextlib.ExitStack()

    def keep(self, thing):
        """Closes it at the end of the test."""
        self.open.callback(thing.close)
        return thing

    def has_failed(self):
        result = self._outcome.result
        return any(test is self for test, _ in result.errors + result.failures)

    def finish(self, made):
        self.open.close()
        nslib.reap_children()
        nslib.CHILDREN.clear()
        try:
            if made.pid is not None:
                self.end(made)
            text = made.text()
            for sign in SIGNS_OF_BUGS:
                self.assertNotIn(sign, text)
        except BaseException:
            print('The log:\n' + made.text()[-8000:], file=sys.stderr)
            raise
        finally:
            if made.pid is not None:
                made.kill()
            if made.manager:
                made.manager.close()
            if made.own_scratch:
                if made.pins:
                    made.pins.remove()
                shutil.rmtree(made.scratch, ignore_errors=True)

    def end(self, made):
        if state_of(made.pid) in (None, 'Z'):
            self.fail('the service ended by itself, with status %d' % made.wait())
        if self.has_failed():
            print('The log:\n' + made.text()[-8000:], file=sys.stderr)
            return
        made.wait_empty()
        self.assertEqual(made.stop(), 0, 'exit status')
        self.assertIn('STOPPING=1', made.notes)
        self.assertEqual(made.leftovers(), ['file ' + SOCKET] if made.socket_is_passed else [])
