# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes, as /proc shows them, and one's own children."""
import contextlib, fcntl, os, resource, time

# A loaded machine, a build with sanitizers, or an emulator must not make a test fail.
PATIENCE = float(os.environ.get('NSR_TEST_PATIENCE', 30))


def wait_until(condition, what, timeout=PATIENCE):
    """Gives what the condition gives as soon as that is true."""
    end = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError('%s: not within %g s' % (what, timeout))
        time.sleep(0.01)


def read(path):
    with open(path, errors='replace') as file:
        return file.read()


def processes_about(text):
    """Process ids of all programs with the text among their arguments, this one's aside."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            if int(pid) != os.getpid() and text in read('/proc/%s/cmdline' % pid):
                found.append(int(pid))
    return found


def cpu_seconds(pid):
    fields = read('/proc/%d/stat' % pid).rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def state_of(pid):
    """The letter of proc(5); None if there is no such process."""
    try:
        return read('/proc/%d/stat' % pid).rsplit(')', 1)[1].split()[0]
    except OSError:
        return None


def spawn(argv, env, log, fds=(), limits=(), prepare=None):
    """Starts a program with the descriptors as 3, 4, …, as sd_listen_fds(3) expects them; gives the process id."""
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200) for fd in fds]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        if log is not None:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(out, 1)
            os.dup2(out, 2)
        if fds:
            env = dict(env, LISTEN_PID=str(os.getpid()))
        for which, value in limits:
            resource.setrlimit(which, (value, value))
        if prepare:
            prepare()
        os.execve(argv[0], argv, env)
    except BaseException as error:
        os.write(2, ('cannot start %s: %s\n' % (argv[0], error)).encode())
    finally:
        os._exit(127)


def close_but_these(*kept):
    """In a child: what it has of its parent beyond standard input, output and error."""
    for fd in map(int, os.listdir('/proc/self/fd')):
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)


def exit_status(pid, timeout=PATIENCE, meanwhile=lambda: None):
    """Waits for the end of a child; negative for a signal, as subprocess has it."""
    def ended():
        meanwhile()
        found = os.waitpid(pid, os.WNOHANG)
        return found if found[0] else None
    return os.waitstatus_to_exitcode(wait_until(ended, 'end of process %d' % pid, timeout)[1])
