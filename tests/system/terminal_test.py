#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text that other users choose reaches no terminal, no log and no JSON as it is."""
import json, os, socket, subprocess, unicodedata

import harness
from harness import DaemonTest, alloc
from nslib import CFD, CGROUP, UFD, Cgroup, Conn

# What is made as a cgroup, what people are shown of it, and what a program reads.
NAMES = [
    (b'a\xc2\x9b31mRED\xc2\x9d0;pwned\xc2\x9c', r'a\u{9b}31mRED\u{9d}0;pwned\u{9c}', 'a\x9b31mRED\x9d0;pwned\x9c'),
    (b'b\xff\xfe\x9b31m', r'b\xff\xfe\x9b31m', r'b\xff\xfe\x9b31m'),
    (b'c\x1b[31m\r\xe2\x80\xaegnp.exe', r'c\x1b[31m\x0d\u{202e}gnp.exe', 'c\x1b[31m\r\u202egnp.exe'),
    (b'd  \xe2\x80\xa8Owner: 0', r'd  \u{2028}Owner: 0', 'd  \u2028Owner: 0'),
    (b'e\xe2\x81\xa6x\xe2\x81\xa9\xe2\x80\x8b\xef\xbb\xbf', r'e\u{2066}x\u{2069}\u{200b}\u{feff}',
     'e\u2066x\u2069\u200b\ufeff'),
    (b'f\xf3\xa0\x81\x81\xef\xb7\x90', r'f\u{e0041}\u{fdd0}', 'f\U000e0041\ufdd0'),
    (b'g\xe2\x80\xa9\x7f\t', r'g\u{2029}\x7f\x09', 'g\u2029\x7f\t'),
    ('grüße 日本 \\x41'.encode(), 'grüße 日本 \\x41', 'grüße 日本 \\x41'),
]


class Terminal(DaemonTest):
    def ctl(self, *words):
        ended = subprocess.run([harness.program('nsresourcectl'), '--socket=' + self.service.socket, '--no-pager', *words],
                               capture_output=True, timeout=harness.PATIENCE)
        for output in (ended.stdout, ended.stderr):
            self.check_harmless(output)
        return ended

    def check_harmless(self, output):
        for character in output.decode('utf-8'):  # strictly
            if character != '\n':
                self.assertNotIn(unicodedata.category(character), ('Cc', 'Cf', 'Zl', 'Zp', 'Co', 'Cn'), output)

    def delegated(self):
        """A namespace with cgroups of those names."""
        top = Cgroup()
        one = self.keep(alloc(name='shown'))
        made = []
        with Conn() as connection:
            for name, _, _ in NAMES:
                path = os.path.join(top.path.encode(), name)
                os.mkdir(path)
                made.append(path)
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, fd])
                os.close(fd)

        def remove():
            for path in made:
                if os.path.exists(path):
                    os.rmdir(path)
            top.remove()
        self.open.callback(remove)
        return one

    def test_names_of_cgroups(self):
        self.service = self.instance()
        one = self.delegated()
        lines = self.ctl('show', 'shown').stdout.decode().splitlines()
        paths = [line.split(': ', 1)[1] for line in lines if line.lstrip().startswith('Cgroup: ')]
        self.assertEqual([path.rsplit('/', 1)[1] for path in paths], [text for _, text, _ in NAMES])
        self.assertFalse([line for line in lines if line.startswith('Owner: 0') and 'Owner: 0' != line.strip()])
        for mode in ('short', 'pretty'):
            shown = json.loads(self.ctl('--json=' + mode, 'show', 'shown').stdout)
            self.assertEqual([path.rsplit('/', 1)[1] for path in shown['cgroupPaths']], [value for _, _, value in NAMES])
        self.ctl('list')
        self.ctl('status')
        one.close()
        self.service.wait_empty()

    def test_arguments_in_errors(self):
        self.service = self.instance()
        hostile = b'x\nerror: forged\x1b[2J\xc2\x9b\xe2\x80\xae\xff'
        shown = r'x\x0aerror: forged\x1b[2J\u{9b}\u{202e}\xff'.encode()
        for words in (['show', hostile], ['register', hostile], ['reclaim', hostile, '--trust-others'], [hostile],
                      ['--' + hostile.decode('latin-1')], ['run', '--', hostile], ['run', '--size=' + '\x1b', '--', 'x'],
                      ['--socket=/' + os.fsdecode(hostile), 'status']):
            with self.subTest(words):
                ended = self.ctl(*words)
                self.assertNotEqual(ended.returncode, 0)
                self.assertEqual(ended.stderr.count(b'\n'), 1, ended.stderr)
                if words in (['show', hostile], ['register', hostile]):
                    self.assertIn(shown, ended.stderr)

    def test_answers_of_the_service(self):
        """Another program listens at the socket that the tool was told to use."""
        self.service = self.instance()
        path = self.service.path('other')
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            for answer in ({'error': 'a.B\x9b\nx\u202e'}, {'parameters': {'name': 'a\nname\x9b\u202e'}},
                           {'error': 'org.varlink.service.InvalidParameter', 'parameters': {'parameter': '\x1b\n\x85'}}):
                with subprocess.Popen([harness.program('nsresourcectl'), '--socket=' + path, 'register', '/proc/self/ns/user'],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(json.dumps(answer).encode() + b'\0')
                        for output in tool.communicate(timeout=harness.PATIENCE):
                            self.check_harmless(output)
                            self.assertLessEqual(output.count(b'\n'), 1, output)

    def test_the_log(self):
        name = 'x\x1b[31m\x9b\u202e\u2028\udcff'  # the last one stands for the byte 0xff
        with open('/dev/null') as file:
            self.service = self.instance(fds=[file.fileno()], names=[name])
            self.service.socket_is_passed = False
        with open(self.service.log, 'rb') as file:
            text = file.read()
        self.check_harmless(text)
        self.assertIn(rb"'x\x1b[31m\u{9b}\u{202e}\u{2028}\xff'", text)


if __name__ == '__main__':
    harness.main()
