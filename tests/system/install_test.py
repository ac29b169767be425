#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed where, and whether the units, the manual pages and the example say what is so."""
import configparser, os, re, shutil, subprocess, tempfile, unittest

import harness
from harness import Setting, read

# Above this systemd-analyze(1) would have found a protection missing that was there.
EXPOSURE = 42


def build_folder():
    return os.path.dirname(Setting.bin)


def cached(name):
    """A variable of the build."""
    return re.search(r'^%s:\w+=(.*)$' % name, read(os.path.join(build_folder(), 'CMakeCache.txt')), re.M).group(1)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix='nsr-install.')
        cls.addClassCleanup(shutil.rmtree, cls.root)
        done = subprocess.run(['cmake', '--install', build_folder()], env=dict(os.environ, DESTDIR=cls.root),
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        cls.prefix = cached('CMAKE_INSTALL_PREFIX')

    def path(self, relative):
        return self.root + os.path.join(self.prefix, relative)

    def unit(self, name):
        return read(self.path('lib/systemd/system/' + name))

    def test_files(self):
        for program in ('bin/nsresourcectl', 'libexec/nsresourced/nsresourced', 'libexec/nsresourced/nsresourcework'):
            self.assertTrue(os.access(self.path(program), os.X_OK), program)
        for file in ('lib/systemd/system/nsresourced.service', 'lib/systemd/system/nsresourced.socket',
                     'lib/tmpfiles.d/nsresourced.conf', 'share/doc/nsresourced/nsresourced.conf',
                     'share/polkit-1/actions/io.systemd.namespace-resource.policy'):
            self.assertTrue(os.path.isfile(self.path(file)), file)

    def test_programs_start(self):
        for program in ('bin/nsresourcectl', 'libexec/nsresourced/nsresourced'):
            said = subprocess.run([self.path(program), '--version'], capture_output=True, text=True)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn('nsresource', said.stdout)

    def test_nothing_outside_of_the_prefix(self):
        found = [os.path.join(place, name) for place, _, files in os.walk(self.root) for name in files]
        self.assertEqual([name for name in found if not name.startswith(self.root + self.prefix + '/')], [])

    def test_service_starts_what_is_installed(self):
        program = re.search('^ExecStart=(.*)$', self.unit('nsresourced.service'), re.M).group(1)
        self.assertTrue(os.access(self.root + program, os.X_OK), program)

    def test_socket_is_where_clients_look(self):
        text = self.unit('nsresourced.socket')
        for line in ('ListenStream=/run/systemd/io.systemd.NamespaceResource', 'SocketMode=0666',
                     'FileDescriptorName=varlink',
                     'Symlinks=/run/systemd/userdb/io.systemd.NamespaceResource '
                     '/run/varlink/registry/io.systemd.NamespaceResource'):
            self.assertIn(line, text.split('\n'))

    def test_example_changes_nothing_and_names_every_key(self):
        text = read(self.path('share/doc/nsresourced/nsresourced.conf'))
        parser = configparser.ConfigParser(comment_prefixes=('#',))
        parser.read_string(text)
        self.assertEqual({name: dict(parser[name]) for name in parser.sections()}, {'NamespaceResource': {}})
        known = set(re.findall(r'key == "(\w+)"', read(os.path.join(harness.HERE, '../../src/manager/options.cc'))))
        self.assertEqual(set(re.findall(r'^#(\w+)=', text, re.M)), known)

    @unittest.skipUnless(shutil.which('scdoc'), 'no scdoc')
    def test_manual_pages(self):
        pages = {1: 'nsresourcectl', 5: 'nsresourced.conf', 8: 'nsresourced'}
        text = {name: read(self.path('share/man/man%d/%s.%d' % (section, name, section))).replace('\\', '')
                for section, name in pages.items()}
        asked = subprocess.run([self.path('libexec/nsresourced/nsresourced'), '--help'], capture_output=True, text=True)
        for option in re.findall(r'--[a-z-]+', asked.stdout):
            self.assertIn(option, text['nsresourced'])

    @unittest.skipUnless(shutil.which('systemd-analyze'), 'no systemd-analyze')
    def test_hardening(self):
        unit = self.path('lib/systemd/system/nsresourced.service')
        done = subprocess.run(['systemd-analyze', 'security', '--no-pager', '--offline=true',
                               '--threshold=%d' % EXPOSURE, unit], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout.strip().split('\n')[-1])


if __name__ == '__main__':
    harness.main()
