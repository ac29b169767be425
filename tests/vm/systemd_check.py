#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed service in a virtual machine whose process 1 is systemd: systemd_check.py LEVEL."""
import subprocess, sys, unittest

UNITS = ('nsresourced.socket', 'nsresourced.service')
AS_USER = ('setpriv', '--reuid', 'daemon', '--regid', 'daemon', '--clear-groups', '--')
POOLS = (range(61184, 65520), range(524288, 1879048192))
LEVEL = None


class Installed(unittest.TestCase):
    def run_it(self, *command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            log = subprocess.run(['journalctl', '--no-pager', '--boot', '--lines=60'], capture_output=True, text=True)
            self.fail('%s: %s%s\n%s' % (' '.join(command), done.stdout, done.stderr, log.stdout))
        return done.stdout.strip()

    def states(self):
        return [subprocess.run(['systemctl', 'is-active', unit], capture_output=True, text=True).stdout.strip()
                for unit in UNITS]

    def allocate(self):
        """As a user without rights."""
        inside, outside = self.run_it(*AS_USER, 'nsresourcectl', 'run', '--', 'cat', '/proc/self/uid_map').split()[:2]
        self.assertEqual(inside, '0')
        self.assertTrue(any(int(outside) in pool for pool in POOLS), outside)

    def level(self):
        said = self.run_it('nsresourcectl', 'status')
        self.assertRegex(said, '(?m)^ *Enforcement: +%s' % LEVEL)

    def main_process(self):
        return self.run_it('systemctl', 'show', '--property=MainPID', '--value', UNITS[1])

    def test_a_boot_a_client_and_a_restart(self):
        self.assertEqual(self.run_it('cat', '/proc/1/comm'), 'systemd')
        self.assertEqual(self.states(), ['active', 'inactive'], 'before the first client')
        self.allocate()
        self.assertEqual(self.states(), ['active', 'active'], 'after the first client')
        self.level()
        before = self.main_process()
        self.run_it('systemctl', 'restart', UNITS[1])
        self.assertNotEqual(self.main_process(), before)
        self.allocate()
        self.level()
        self.run_it('systemctl', 'stop', *UNITS)
        self.run_it('systemctl', 'start', UNITS[0])
        self.allocate()
        self.assertEqual(self.run_it('systemctl', 'list-units', '--state=failed', '--no-legend', '--plain'), '')


if __name__ == '__main__':
    LEVEL = sys.argv.pop(1)
    unittest.main(verbosity=2)
