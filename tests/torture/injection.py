# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program nsresource-injector, which follows an instance and makes its system calls fail."""
import contextlib, os, select, subprocess, time

from call_errors import NAMES, NUMBERS, number_of_error, parse_trace


class Fault:
    """Role of the process (manager, worker, helper), which call ('openat.3'; '': none), and what is done to it: kill,
    kill-return, error:EIO, sticky:EIO, hold. '+5' behind it: whoever is at work five calls later is killed, too."""

    def __init__(self, role, call='', action='none'):
        self.role, self.call, self.action = role, call, action

    def order(self):
        name, _, nth = self.call.rpartition('.')
        action, _, later = self.action.partition('+')
        action, _, error = action.partition(':')
        return 'arm %s %s %s %s %d %s' % (self.role, NUMBERS[name] if name else '*', nth or 0, action,
                                          number_of_error(error) if error else 0, later or 0)


class Injector:
    def __init__(self, binary, processes, from_exec=False):
        arguments = [binary, *(['--from-exec'] if from_exec else []), *processes]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.buffer, self.hits, self.gone, self.trace = b'', [], {}, []
        self.answer('ready')

    def answer(self, word, timeout=10):
        """Waits for an answer; takes what else is told until then."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in self.lines(end - time.monotonic()):
                if self.take(line) == word:
                    return
        raise AssertionError('the injector does not answer: %s' % word)

    def lines(self, timeout):
        if b'\n' not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(timeout, 0))[0]:
                return
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                raise AssertionError('the injector has ended')
            self.buffer += data
        while b'\n' in self.buffer:
            line, self.buffer = self.buffer.split(b'\n', 1)
            yield line.decode()

    def take(self, line):
        word, *rest = line.split()
        if word in ('hit', 'again'):
            self.hits.append((word, int(rest[0]), NAMES[int(rest[1])], rest[2]))
        elif word == 'gone':
            self.gone[int(rest[0])] = int(rest[1])
        elif word == 'trace':
            self.trace = rest[1:]
        return word

    def poll(self):
        for line in list(self.lines(0)):
            self.take(line)
        return self.hits

    def say(self, line):
        os.write(self.process.stdin.fileno(), line.encode() + b'\n')

    def run(self):
        self.say('run')
        self.answer('running')

    def arm(self, fault):
        self.hits = []
        self.say(fault.order())
        self.answer('armed')

    def disarm(self):
        """The system calls of each role since arm()."""
        self.say('disarm')
        self.answer('trace')
        return parse_trace(self.trace)

    def wait_for_hit(self, timeout):
        end = time.monotonic() + timeout
        while not self.hits and time.monotonic() < end:
            for line in list(self.lines(end - time.monotonic())):
                self.take(line)
        return self.hits

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        # Others may hold the other end of the pipe.
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
