#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces that die by the thousand, with the word of it lost: in the end every range is back, and registry and
policy maps are empty."""
import os, signal, struct

import harness
import bpf
import herd
from harness import alloc, wait_until
from pins import EMPTY
from policy_case import PolicyTest

FIRST_UID = 2000
EACH = 250  # of one uid; it may have 256


class Deaths(PolicyTest):
    def setUp(self):
        super().setUp()
        self.service = self.enforcing()

    def herds(self, count, act):
        """So many processes of different uids at once."""
        made = [self.keep(herd.Herd(FIRST_UID + number, act)) for number in range(count)]
        return [one.wait() for one in made]

    def count(self):
        return len([name for name in os.listdir(self.service.registry) if name.startswith('i')])

    def lost(self):
        """How many words of deaths found no room."""
        path = os.path.join(self.service.pins.only('maps'), 'lost')
        with bpf.Map(path) as lost:
            return struct.unpack('=Q', lost.get(struct.pack('=I', 0)))[0]

    def check_all_back(self):
        service = self.service
        wait_until(lambda: self.count() == 0, 'release of all', 120)
        service.wait_empty()
        self.assertEqual(service.pins.content(), EMPTY)
        with open(os.path.join(service.run, 'nsresource/taken'), 'rb') as file:
            self.assertEqual(file.read().strip(b'\0'), b'')

    def test_two_thousand_with_words_lost(self):
        herds = self.herds(8, herd.hold(EACH))
        self.assertEqual(self.count(), 8 * EACH)
        self.service.send(signal.SIGSTOP)
        for one in herds:
            one.close()
        wait_until(lambda: self.lost() > 0 and self.marked_dead() == 8 * EACH, 'all dead', 120)
        self.service.send(signal.SIGCONT)
        self.check_all_back()

    def marked_dead(self):
        with self.service.pins.map('namespaces') as namespaces:
            return sum(struct.unpack(bpf.NAMESPACE, value)[2] for value in namespaces.content().values())

    def test_killed_in_the_middle(self):
        herds = self.herds(4, herd.hold(100))
        for one in herds[:2]:
            one.close()
        self.service.kill()
        herds[2].close()
        self.service.start()
        herds[3].close()
        self.service.kill()
        self.service.start()
        self.check_all_back()

    def test_inode_numbers_that_are_used_again_at_once(self):
        self.herds(4, herd.churn(60))
        self.check_all_back()

    def test_callers_that_do_not_wait_for_the_answer(self):
        self.herds(4, herd.vanish(30))
        self.service.quiet_workers()
        self.check_all_back()

    def test_nested_ones(self):
        """They die with the one that was held last, all at once."""
        held = []
        for number in range(10):
            above = alloc(name='a%d' % number, delegateContainerRanges=3)
            middle = alloc(name='m%d' % number, parent=above.fd, delegateContainerRanges=1)
            below = alloc(name='b%d' % number, parent=middle.fd)
            above.close()
            middle.close()
            held.append(below)
        self.assertEqual(self.count(), 30)
        for below in held:
            below.close()
        self.check_all_back()


if __name__ == '__main__':
    harness.main()
