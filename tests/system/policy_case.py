# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests that need the kernel policy."""
import json, os, shutil, subprocess

import harness
from harness import DaemonTest, alloc, read, wait_until
from nslib import attempt, run_in


class PolicyTest(DaemonTest):
    def enforcing(self, **settings):
        """A running instance that has the kernel policy at work."""
        service = self.instance(enforcement=None, **settings)
        status = self.status(service)
        if status['enforcement'] != 'enforce':
            self.skipTest(status['reason'])
        return service

    def status(self, service):
        return json.loads(read(os.path.join(service.run, 'nsresource/status')))

    def check_level(self, service, level):
        self.assertEqual(self.status(service)['enforcement'], level, self.status(service)['reason'])

    def restart(self, service, *options):
        """With another level, or as it was."""
        if options:
            service.options = list(options)
        service.start()
        return service

    def managed(self, **settings):
        return self.keep(alloc(**settings))

    def place(self, mode=0o777):
        """A directory of the host where everybody may write."""
        if not hasattr(self, 'places'):
            self.places = []
        path = '/dev/shm/nsr-place.%d.%d' % (os.getpid(), len(self.places))
        os.mkdir(path)
        os.chmod(path, mode)
        self.places.append(path)
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def try_mkdir(self, fd, uid=0):
        """What comes of it, inside, in a directory of the host."""
        path = self.place() + '/made'
        return run_in(lambda: attempt(os.mkdir, path), fd, uid=uid)

    def check_restricted(self, *ones):
        for one in ones:
            self.assertEqual(self.try_mkdir(one.fd), 'EPERM')

    def wait_gone(self, service, one):
        wait_until(lambda: 'i%d.userns' % one.inode not in service.files(), 'release of ' + one.name)

    def ctl(self, service, *words):
        ended = subprocess.run([harness.program('nsresourcectl'), '--socket=' + service.socket, '--json=short', *words],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)
