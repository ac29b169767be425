#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels on which the policy cannot be had, or only seems to work: what the service says, and how it goes on."""
import os

import harness, interceptor
from harness import alloc
from nslib import try_allocate, Conn
from policy_case import PolicyTest


class Start(PolicyTest):
    can_enforce = False

    def setUp(self):
        super().setUp()
        if not Start.can_enforce:
            self.enforcing().stop()  # or there is nothing to take away
        Start.can_enforce = True

    def start_on(self, kernel, enforcement=None):
        self.keep(kernel)
        service = self.instance(enforcement=enforcement, prepare=kernel.prepare)
        return service, self.status(service)

    def test_attached_without_effect(self):
        """What attaches and does nothing is not enforcement, and nothing of it stays."""
        service, status = self.start_on(interceptor.with_forgetful_maps())
        self.assertEqual(status['enforcement'], 'quarantine')
        self.assertIn('attached, but does not work', status['reason'])
        self.assertIn(status['reason'], service.text())
        self.assertEqual(service.pins.sets('policy'), [])

    def test_attached_without_effect_where_it_is_demanded(self):
        service, status = self.start_on(interceptor.with_forgetful_maps(), 'enforce')
        self.assertEqual(status['enforcement'], 'refuse')
        with Conn() as connection:
            self.assertEqual(try_allocate(connection).ident(), 'UserNamespaceInterfaceNotSupported')

    def check_deaths(self, service):
        """Released at once: nothing else tells of a death on some of the kernels."""
        for number in range(3):
            alloc(name='d%d' % number).close()
        service.wait_empty()

    def test_no_trampolines(self):
        """A kprobe brings the word of deaths, over a restart as well."""
        service, status = self.start_on(interceptor.without_trampolines())
        self.assertEqual(status['enforcement'], 'quarantine')
        self.assertEqual([name.split('/')[1] for name in service.pins.links()], ['on_death_kprobe'])
        self.check_deaths(service)
        links = service.pins.links()
        service.kill()
        service.prepare = None
        self.restart(service, '--enforcement=quarantine')
        self.assertEqual(service.pins.links(), links)
        self.check_deaths(service)

    def test_no_links(self):
        """Neither can be pinned: nothing is left half done, and the service goes on as if the kernel had no BPF."""
        service, status = self.start_on(interceptor.without_links())
        self.assertEqual(status['enforcement'], 'quarantine')
        self.assertIn('attach kernel program', status['reason'])
        self.assertEqual(os.listdir(service.pins.path), ['runtime'])
        self.keep(alloc())
        service.kill()
        # What is to be released must be heard of, now that there is somebody who can.
        service.prepare = None
        service.start()
        self.check_level(service, 'enforce')


class Trial(PolicyTest):
    """What it has on the host for a moment belongs to an id that nobody may have."""
    FIRST, LAST = 61184, 65519

    def leave(self, service):
        """As a service that was killed in it leaves it."""
        path = os.path.join(service.run, 'nsresource/trial.1')
        os.makedirs(path + '/directory/deeper')
        os.symlink('/', path + '/link')
        open(path + '/existing', 'w').close()
        for name in ('existing', '.'):
            os.chown(os.path.join(path, name), self.LAST, self.LAST)
        return path

    def check_removed(self, **settings):
        service = self.prepared(**settings)
        path = self.leave(service)
        service.start()
        self.assertFalse(os.path.exists(path))

    def test_what_a_killed_one_left_is_removed(self):
        self.check_removed(enforcement=None)

    def test_what_a_killed_one_left_is_removed_without_another_trial(self):
        self.check_removed(enforcement='none')

    def test_no_id_of_a_registration(self):
        """Although the policy's entries are lost, which would tell as well."""
        service = self.enforcing()
        service.kill()
        service.pins.remove()
        taken = [os.path.join(service.registry, 'u%d.userns' % (self.LAST - number)) for number in range(2)]
        for path in taken:
            open(path, 'w').close()
        notes = service.path('keys')
        kernel = self.keep(interceptor.that_tells_keys_of_maps(notes))
        service.prepare = kernel.prepare
        service.start()
        with open(notes) as file:
            tried = [number for number in map(int, file) if self.FIRST <= number <= self.LAST]
        self.assertEqual(set(tried), {self.LAST - 2})
        for path in taken:
            os.unlink(path)  # such a one stays until somebody looks at it


if __name__ == '__main__':
    harness.main()
