#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the service starts and stops: options, sockets, the service manager's protocol."""
import os, resource, signal, socket, stat, subprocess

import harness
from harness import DaemonTest, wait_until
from nslib import ALLOC, CGROUP, Conn, GETUSER, MOUNT, NET, REGISTER, SERVICE


def listening(path):
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(path)
    os.chmod(path, 0o666)
    made.listen()
    return made


class Notification(DaemonTest):
    def test_ready_status_stopping(self):
        service = self.instance(enforcement='quarantine')
        self.assertTrue(any(note.startswith('STATUS=') and 'quarantine' in note for note in service.take_notes()))
        self.assertNotIn('STOPPING=1', service.notes)
        self.assertEqual(service.stop(), 0)
        self.assertIn('STOPPING=1', service.notes)
        self.assertEqual(service.leftovers(), [])

    def test_watchdog_is_fed(self):
        service = self.instance(env={'WATCHDOG_USEC': '400000'})
        for round in range(1, 4):
            wait_until(lambda: service.take_notes().count('WATCHDOG=1') >= round, 'WATCHDOG=1')

    def test_no_watchdog_unasked(self):
        service = self.instance()
        with Conn() as connection:
            connection.works()
        self.assertNotIn('WATCHDOG=1', service.take_notes())

    def test_signals_end_it_with_success(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            service = self.instance()
            service.idle_workers()
            self.assertEqual(service.stop(number), 0)
            self.assertEqual(service.leftovers(), [])

    def test_stop_while_workers_start_is_no_error(self):
        service = self.prepared(options=['--log-level=info'])
        for number in range(15):
            service.start()
            for _ in range(number % 3):
                service.send(signal.SIGUSR2)
            self.assertEqual(service.stop(), 0)
        lines = [line for line in service.text().split('\n') if line and 'Enforcement' not in line]
        self.assertEqual(lines, [])
        service.start()

    def test_generic_signal_is_taken(self):
        service = self.instance()
        service.send(signal.SIGRTMIN + 18)
        with Conn() as connection:
            connection.works()


class OwnSocket(DaemonTest):
    def test_mode_and_link(self):
        service = self.instance()
        found = os.lstat(service.socket)
        self.assertTrue(stat.S_ISSOCK(found.st_mode))
        self.assertEqual(stat.S_IMODE(found.st_mode), 0o666)
        self.assertEqual(os.stat(os.path.join(service.run, 'userdb', harness.SOCKET)).st_ino, found.st_ino)

    def test_mode_does_not_depend_on_umask(self):
        service = self.instance(prepare=lambda: os.umask(0o777))
        self.assertEqual(stat.S_IMODE(os.lstat(service.socket).st_mode), 0o666)
        for directory in ('nsresource', 'nsresource/registry'):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(service.run, directory)).st_mode), 0o755)

    def test_stale_socket_is_replaced(self):
        service = self.prepared()
        listening(service.socket).close()
        service.start()
        with Conn(1000) as connection:
            connection.works()

    def test_socket_of_another_service_is_left_alone(self):
        service = self.prepared()
        other = self.keep(listening(service.socket))
        before = os.lstat(service.socket).st_ino
        self.assertIn(service.socket, service.refuses_to_start())
        self.assertEqual(os.lstat(service.socket).st_ino, before)
        other.setblocking(False)
        other.accept()[0].close()

    def test_second_instance_is_refused(self):
        first = self.instance()
        before = os.lstat(first.socket).st_ino
        second = self.prepared(scratch=first.scratch)
        self.assertIn('another instance', second.refuses_to_start())
        self.assertEqual(os.lstat(first.socket).st_ino, before)
        with Conn() as connection:
            connection.works()


class PassedSocket(DaemonTest):
    def activated(self, count=1, names=('varlink',), more=()):
        service = self.prepared(fds=[0], names=names)
        self.sockets = [self.keep(listening(service.socket if i == 0 else service.path('more%d' % i)))
                        for i in range(count)]
        service.fds = [s.fileno() for s in self.sockets] + list(more)
        service.env['LISTEN_FDS'] = str(len(service.fds))
        return service

    def test_is_used_and_stays(self):
        service = self.activated()
        before = os.lstat(service.socket).st_ino
        service.start()
        with Conn(1000) as connection:
            connection.works()
        self.assertEqual(os.lstat(service.socket).st_ino, before)
        self.assertEqual(service.stop(), 0)
        self.assertEqual(os.lstat(service.socket).st_ino, before)

    def test_client_that_came_before_is_served(self):
        service = self.activated()
        client = self.keep(socket.socket(socket.AF_UNIX))
        client.connect(service.socket)
        client.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
        service.start()
        client.settimeout(harness.PATIENCE)
        self.assertIn(b'nsresourced', client.recv(4096))

    def test_two_are_refused(self):
        service = self.activated(count=2, names=('varlink', 'varlink'))
        self.assertIn('more than one', service.refuses_to_start())

    def test_unknown_descriptor_is_closed_with_a_warning(self):
        reading, writing = os.pipe()
        service = self.activated(names=('varlink', 'strange'), more=[writing])
        service.start()
        os.close(writing)
        self.assertEqual(os.read(reading, 1), b'', 'the pipe is still open somewhere')
        os.close(reading)
        self.assertIn("'strange'", service.text())
        with Conn() as connection:
            connection.works()


class Options(DaemonTest):
    def run_program(self, *arguments):
        return subprocess.run([harness.program('nsresourced'), *arguments], capture_output=True, text=True,
                              timeout=harness.PATIENCE)

    def test_help_and_version(self):
        asked = self.run_program('--help')
        self.assertEqual(asked.returncode, 0)
        for option in ('--runtime-dir', '--state-dir', '--config', '--enforcement', '--log-level'):
            self.assertIn(option, asked.stdout)
        asked = self.run_program('--version')
        self.assertEqual((asked.returncode, asked.stderr), (0, ''))
        self.assertRegex(asked.stdout, r'^nsresourced \d+\.\d+')

    def test_bad_usage(self):
        for bad in (['--bad'], ['--enforcement=maybe'], ['--log-level=loud'], ['--runtime-dir=relative'],
                    ['--state-dir=relative'], ['surplus'], ['--enforcement']):
            with self.subTest(bad):
                ended = self.run_program(*bad)
                self.assertEqual((ended.returncode, ended.stdout), (2, ''))
                self.assertNotEqual(ended.stderr, '')

    def test_not_root(self):
        service = self.prepared(prepare=lambda: harness.nslib.become(1000))
        os.chmod(service.log, 0o666) if os.path.exists(service.log) else None
        self.assertIn('root', service.refuses_to_start())


class Configuration(DaemonTest):
    def write(self, path, text):
        with open(path, 'w') as file:
            file.write(text)

    def test_file_then_directory_then_command_line(self):
        service = self.prepared(enforcement=None)
        os.mkdir(service.config + '.d')
        self.write(service.config, '[NamespaceResource]\nEnforcement=refuse\n')
        self.assertIn('Enforcement: refuse', self.started(service))
        self.write(service.config + '.d/20-b.conf', '[NamespaceResource]\nEnforcement=none\n')
        self.write(service.config + '.d/10-a.conf', '[NamespaceResource]\nEnforcement=refuse\n')
        self.write(service.config + '.d/30-c.ignored', '[NamespaceResource]\nEnforcement=refuse\n')
        self.assertIn('Enforcement: none', self.started(service))
        service.options = ['--enforcement=quarantine']
        self.assertIn('Enforcement: quarantine', self.started(service))

    def started(self, service):
        if os.path.exists(service.log):
            os.unlink(service.log)
        service.start()
        self.assertEqual(service.stop(), 0)
        return service.text()

    def test_bad_files(self):
        for text in ('[NamespaceResource]\nEnforcement=maybe\n', '[NamespaceResource\n', '[NamespaceResource]\nword\n'):
            with self.subTest(text):
                service = self.prepared(enforcement=None)
                self.write(service.config, text)
                service.launch()
                self.assertEqual(service.wait(), 2)
                self.assertIn(service.config, service.text())

    def test_unknown_keys_are_named_and_passed_over(self):
        service = self.prepared()
        self.write(service.config, '[NamespaceResource]\nFuture=1\n[Other]\nx=y\n')
        service.start()
        self.assertIn('Future', service.text())
        self.assertIn('Other', service.text())


class Refusal(DaemonTest):
    METHODS = {ALLOC: {'name': 'x', 'size': 65536, 'userNamespaceFileDescriptor': 0},
               REGISTER: {'name': 'x', 'userNamespaceFileDescriptor': 0},
               MOUNT: {'userNamespaceFileDescriptor': 0, 'mountFileDescriptor': 1},
               CGROUP: {'userNamespaceFileDescriptor': 0, 'controlGroupFileDescriptor': 1},
               NET: {'userNamespaceFileDescriptor': 0, 'mode': 'veth'}}

    def check_refuses_all(self, level):
        service = self.instance(enforcement=level)
        self.assertTrue(any('refuse' in note for note in service.take_notes() if note.startswith('STATUS=')))
        for uid in (0, 1000):
            with Conn(uid) as connection:
                for method, parameters in self.METHODS.items():
                    connection.err('UserNamespaceInterfaceNotSupported', method, parameters)
                connection.err('NoRecordFound', GETUSER, {'uid': 524288, 'service': SERVICE})

    def test_refuse(self):
        self.check_refuses_all('refuse')

    def test_enforce_is_refuse_without_a_policy(self):
        self.check_refuses_all('enforce')


if __name__ == '__main__':
    harness.main()
