# SPDX-License-Identifier: LGPL-2.1-or-later
"""An instance on a small file system of its own, with an injector at it, which serves many cases."""
import contextlib, json, os, select, shutil, signal, tempfile, time

import invariants, nslib
from harness import SIGNS_OF_BUGS, Instance, state_of, wait_until
from injection import Injector

RUNTIME_FILE_SYSTEM = 'size=4m,nr_inodes=600,mode=755'
# The service kills what takes longer than 30 s.
REPLY_SECONDS = 40 * invariants.PACE
QUIET_SECONDS = 5 * invariants.PACE
STICKY_SECONDS = 1 * invariants.PACE
START_SECONDS = 60 * invariants.PACE
SYS_RECVMSG, SYS_EPOLL = 47, (232, 281, 441)


def stand_still():
    """Before exec: until the injector has come."""
    os.kill(os.getpid(), signal.SIGSTOP)


class Rig:
    def __init__(self, injector, level, service):
        self.program, self.level = injector, level
        self.instance = Instance(enforcement=level, prepare=stand_still, bin=service)
        self.runtime = self.instance.run
        nslib.mount('nsr-torture', self.runtime, 'tmpfs', data=RUNTIME_FILE_SYSTEM)
        self.injector = self.quiet = None
        self.log_at = 0
        self.cases = 0

    # ---------------------------------------------------------------- life
    def launch(self, fault=None):
        """Starts it with an injector at it from its first instruction; returns at once."""
        self.instance.launch()
        wait_until(lambda: state_of(self.instance.pid) in ('T', 't'), 'a process that stands still')
        self.injector = Injector(self.program, ['manager:%d' % self.instance.pid], from_exec=True)
        if fault:
            self.injector.arm(fault)
        self.injector.run()
        self.warm = set()

    def comes_up(self, timeout=START_SECONDS):
        """Whether it says READY=1; False: it ended, or took too long."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.runs():
            self.injector.poll()
            if 'READY=1' in self.instance.take_notes():
                return True
            time.sleep(0.002)
        return False

    def start(self):
        self.launch()
        if not self.comes_up():
            raise AssertionError('the service does not start:\n%s\n%s' % (self.instance.text()[-1500:], self.picture()))
        self.check_level()
        self.settle()
        if self.quiet is None:
            self.quiet = invariants.Quiet(self.instance.pid)
        return self

    def check_level(self):
        with open(os.path.join(self.runtime, 'nsresource/status')) as file:
            status = json.load(file)
        if status['enforcement'] != self.level:
            raise AssertionError('the level is %s: %s\n%s' % (status['enforcement'], status['reason'],
                                                             self.instance.text()[-1500:]))

    def runs(self):
        return self.instance.pid is not None and state_of(self.instance.pid) not in (None, 'Z', 'X')

    def buried(self):
        """After an end of the manager, of whatever kind: its exit status, once all its processes are gone."""
        status = None
        if self.instance.pid is not None:
            status = self.instance.wait()
        if self.injector:
            self.injector.poll()
            self.injector.close()
            self.injector = None
        wait_until(lambda: not self.processes(), 'end of the workers')
        return status

    def processes(self):
        return [pid for pid in invariants.processes_about(self.runtime + '\0') if state_of(pid) not in (None, 'Z')]

    def picture(self):
        """What each process of it is doing."""
        return '\n'.join('process %d (%s): state %s, system call %s' % (
            pid, invariants.read_or_nothing('/proc/%d/comm' % pid).strip(), state_of(pid),
            self.instance.system_call(pid)) for pid in self.processes())

    def kill(self):
        if self.runs():
            os.kill(self.instance.pid, signal.SIGKILL)
        return self.buried()

    def revive(self):
        """Starts it anew if the manager is gone; gives the status with which that ended, or None if it runs."""
        if self.runs():
            return None
        status = self.buried()
        self.start()
        return status

    def close(self):
        with contextlib.suppress(Exception):
            self.kill()
        if self.injector:
            self.injector.close()
        if self.instance.manager:
            self.instance.manager.close()
        nslib.umount(self.runtime)
        shutil.rmtree(self.instance.scratch, ignore_errors=True)
        if self.instance.pins:
            self.instance.pins.remove()

    # ---------------------------------------------------------------- use
    def is_quiet(self):
        with contextlib.suppress(OSError):
            workers = self.instance.workers()
            calls = [self.instance.system_call(pid) for pid in workers]
            return (len(workers) >= 5 and all(call == SYS_RECVMSG for call in calls)
                    and self.instance.system_call(self.instance.pid) in SYS_EPOLL)
        return False

    def settle(self, timeout=QUIET_SECONDS):
        """Until nobody has anything to do; gives False if that does not come."""
        end = time.monotonic() + timeout
        while self.runs() and time.monotonic() < end:
            self.injector.poll()
            self.instance.take_notes()
            if self.is_quiet():
                time.sleep(0.003)
                if self.is_quiet():
                    return True
            time.sleep(0.002)
        return False

    def connect(self):
        """A connection, or None: the service is not there."""
        try:
            return nslib.Conn()
        except OSError:
            return None

    def reply(self, connection, timeout=REPLY_SECONDS):
        """The outcome in a word; descriptors are closed."""
        if connection is None:
            return 'closed'
        try:
            reply = connection.recv(timeout)
            for fd in reply.fds:
                os.close(fd)
            return reply.ident()
        except nslib.Closed:
            return 'closed'
        except nslib.Fail as error:
            return 'hang' if 'in time' in str(error) else str(error)

    def ask(self, call, fault=None):
        """One call on a connection of its own. What fails again and again does so for a while only: then the call has to
        be answered."""
        connection = self.connect()
        if connection is None:
            return 'closed'
        try:
            connection.send(*call)
            if fault and fault.action.startswith('sticky'):
                if not select.select([connection.s], [], [], STICKY_SECONDS)[0] and self.runs():
                    self.injector.disarm()
            return self.reply(connection)
        except (nslib.Closed, OSError):
            return 'closed'
        finally:
            connection.close()

    # ---------------------------------------------------------------- looking
    def mark(self):
        """What the log says from here on."""
        self.log_at = os.path.getsize(self.instance.log) if os.path.exists(self.instance.log) else 0

    def said(self):
        with contextlib.suppress(OSError), open(self.instance.log, 'rb') as file:
            file.seek(self.log_at)
            return file.read().decode(errors='replace')
        return ''

    def bug_problems(self):
        said = self.said()
        return ['the log has "%s"' % sign for sign in SIGNS_OF_BUGS if sign in said]

    def check(self, subjects=(), quiet=True):
        found = self.check_instance(subjects, quiet)
        if not found and self.level == 'enforce' and not any(one.fds for one in subjects):
            found = invariants.lasting(self.policy_problems, invariants.SLACK_SECONDS)
        return found

    def policy_problems(self):
        """Once all namespaces are dead, the maps of the kernel policy are empty."""
        for name, content in self.instance.pins.content().items():
            if content:
                yield 'the map %s of the policy has %d entries' % (name, len(content))

    def check_instance(self, subjects, quiet):
        living = [fd for one in subjects for fd in one.living()]
        known = [fd for one in subjects for fd in one.registered()]
        paths = [path for one in subjects for path in one.paths]
        pinned = any(one.PINS for one in subjects if one.fds)
        return invariants.check(self.runtime, self.instance.pid if self.runs() else None,
                                [fd for fd in living if fd not in known], known,
                                None if pinned or not quiet else self.quiet, paths,
                                may_have_notes=any(one.NOTES for one in subjects))


# What a host has of users: little, and the same in each run, whatever else goes on here.
HOST_FILES = {'/etc/nsswitch.conf': 'passwd: files\ngroup: files\n', '/etc/passwd': 'root:x:0:0::/root:/bin/sh\n',
              '/etc/group': 'root:x:0:\n', '/etc/subuid': '', '/etc/subgid': ''}


def isolate(level):
    """File systems, networks and users of this process and its children are theirs alone, and go with them."""
    nslib.unshare(nslib.CLONE_NEWNS | nslib.CLONE_NEWNET)
    nslib.mount('none', '/', None, nslib.MS_REC | nslib.MS_PRIVATE)
    with tempfile.TemporaryDirectory(prefix='nsr-torture.', dir='/dev/shm') as scratch:
        for path, text in HOST_FILES.items():
            own = os.path.join(scratch, os.path.basename(path))
            with open(own, 'w') as file:
                file.write(text)
            if os.path.exists(path):
                nslib.mount(own, path, None, nslib.MS_BIND)
    # Each start would read the kernel's types, 4 KiB in each of some thousand system calls, for programs that only one
    # level is about.
    for path in ('/run/systemd/userdb', *(['/sys/kernel/btf'] if level != 'enforce' else [])):
        if os.path.isdir(path):
            nslib.mount('nsr-torture', path, 'tmpfs')
