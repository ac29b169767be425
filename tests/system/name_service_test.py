#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service at its usual address, as name service and userdbctl(1) see it: in namespaces of its own, where /run is
empty and nobody else uses it, so that the host's stays untouched."""
import os, shutil, socket, struct, subprocess, sys, threading, unittest

import harness
from harness import DaemonTest, PATIENCE, alloc, namespace
from nslib import ALLOC, Conn, UFD

RUN = '/run/systemd'
INSIDE = 'NSR_NAME_SERVICE_TEST'
SUITE = os.path.join(harness.HERE, '../conformance/run.py')
# A module that glibc does not find: it makes the service ask the name service at all, with nss-systemd among the rest.
ASKED = 'files systemd unheard'
NOBODY = 65534


def tool(*words):
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, ended.stdout.strip()


class UsualAddress(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.at_usual_address()

    def at_usual_address(self, modules='files systemd'):
        with open('/run/nsswitch.conf', 'w') as file:
            file.write('passwd: %s\ngroup: %s\n' % (modules, modules))
        service = self.prepared()
        service.run, service.socket = RUN, os.path.join(RUN, harness.SOCKET)
        service.registry = os.path.join(RUN, 'nsresource/registry')
        return service

    def allocated(self, size=65536):
        """Name and first uid of a live range."""
        made = self.keep(alloc(size=size))
        return made.name, made.start

    def test_users(self):
        self.service.start()
        name, start = self.allocated()
        for offset in (0, 1, 65535):
            user, uid = 'ns-%s-%d' % (name, offset), start + offset
            line = '%s:x:%d:65534:User %d of Allocated Namespace %s:/:/usr/sbin/nologin' % (user, uid, offset, name)
            for key in (user, str(uid)):
                self.assertEqual(tool('getent', 'passwd', key), (0, line))

    def test_groups(self):
        self.service.start()
        name, start = self.allocated()
        for offset in (0, 65535):
            group, gid = 'ns-%s-%d' % (name, offset), start + offset
            for key in (group, str(gid)):
                self.assertEqual(tool('getent', 'group', key), (0, '%s:x:%d:' % (group, gid)))

    def test_single_id(self):
        self.service.start()
        name, start = self.allocated(1)
        status, line = tool('getent', 'passwd', str(start))
        self.assertEqual((status, line.split(':')[0]), (0, 'ns-%s-0' % name))

    def test_unknown(self):
        self.service.start()
        name, start = self.allocated()
        for key in ('ns-%s-65536' % name, 'ns-nobody-0', str(start + 65536)):
            self.assertEqual(tool('getent', 'passwd', key), (2, ''))
            self.assertEqual(tool('getent', 'group', key), (2, ''))

    @unittest.skipUnless(shutil.which('userdbctl'), 'no userdbctl (package systemd-userdbd)')
    def test_userdbctl(self):
        self.service.start()
        name, start = self.allocated()
        status, line = tool('userdbctl', 'user', '--output=classic', str(start + 3))
        self.assertEqual((status, line.split(':')[:4]), (0, ['ns-%s-3' % name, 'x', str(start + 3), '65534']))
        status, line = tool('userdbctl', 'group', '--output=classic', 'ns-%s-3' % name)
        self.assertEqual((status, line.split(':')[:3]), (0, ['ns-%s-3' % name, 'x', str(start + 3)]))
        status, text = tool('userdbctl', 'services', '--no-legend', '--no-pager')
        self.assertIn(harness.SOCKET, text)

    def test_conformance(self):
        self.service.start()
        status, text = tool(sys.executable, SUITE, '--scale', '3', '--group', 'userdb')
        self.assertEqual(status, 0, text)
        for case in ('udb_socket_in_userdb_directory', 'udb_userdbctl' if shutil.which('userdbctl') else None):
            if case:
                self.assertIn('ok ' + case, text.split('\n'))

    def test_links_go_with_the_service(self):
        self.service.start()
        links = [RUN + '/userdb/' + harness.SOCKET, '/run/varlink/registry/' + harness.SOCKET]
        for link in links:
            self.assertEqual(os.path.realpath(link), self.service.socket)
        self.assertEqual(self.service.stop(), 0)
        for path in links + [self.service.socket]:
            self.assertFalse(os.path.lexists(path), path)
        self.service.start()

    def test_service_does_not_wait_for_itself(self):
        """More callers at once than there are workers, each of whose names and ranges is looked up in a name service
        that would have to ask the service: nobody waits until a look-up is given up."""
        self.service = self.at_usual_address(ASKED).start()
        callers = [(self.keep(Conn(uid)), self.keep(namespace(uid))) for uid in (0, 1000, 1001) for _ in range(20)]
        for number, (connection, userns) in enumerate(callers):
            connection.send(ALLOC, {'name': 'c%d' % number, 'size': 65536, UFD: 0}, [userns.fd])
        self.assertEqual([connection.recv(PATIENCE).ident() for connection, _ in callers], ['ok'] * len(callers))
        self.assertNotIn('does not answer', self.service.text())

    def test_name_service_does_not_lead_back_to_the_service(self):
        """The process that asks the name service must not reach the user database services, of which we are one."""
        self.service = self.at_usual_address(ASKED).start()
        witness = self.keep(Witness(RUN + '/userdb/io.example.Witness'))
        self.keep(alloc())
        self.assertEqual(witness.uids, {0})
        # What it would have seen.
        subprocess.run(['getent', 'passwd', 'ns-unknown-0'], user=NOBODY, timeout=PATIENCE)
        self.assertEqual(witness.uids, {0, NOBODY})


class Witness:
    """A user database service that knows nobody, and remembers who asked."""

    def __init__(self, path):
        self.uids = set()
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                _, uid, _ = struct.unpack('3i', connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                self.uids.add(uid)
                while asked := connection.recv(65536):
                    for _ in range(asked.count(b'\0')):
                        connection.sendall(b'{"error":"io.systemd.UserDatabase.NoRecordFound","parameters":{}}\0')

    def close(self):
        os.unlink(self.path)
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def enter():
    """This program again, in namespaces of its own."""
    script = ('mount -t tmpfs -o mode=0755 run /run && mkdir -p /run/systemd && : >/run/nsswitch.conf && '
              'mount --bind /run/nsswitch.conf /etc/nsswitch.conf && exec "$@"')
    os.environ[INSIDE] = '1'
    os.execvp('unshare', ['unshare', '--mount', '--propagation=private', '--pid', '--fork', '--kill-child',
                          '--mount-proc', 'sh', '-c', script, 'sh', sys.executable, *sys.argv])


if __name__ == '__main__':
    if os.geteuid() == 0 and INSIDE not in os.environ:
        enter()
    harness.main()
