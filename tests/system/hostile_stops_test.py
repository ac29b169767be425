#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service ends, and begins anew, whatever hostile descriptors it holds at that moment."""
import signal

import harness
from attackers import FuseFile, FuseFlush, Linger
from hostile_case import ATTACKER, HostileTest
from hostile_descriptors_test import half, middle

MANY = 20


class Stops(HostileTest):
    def armed(self, kind, send=half, hang_up=False):
        service, weapon = self.service(), self.weapon(kind)
        return service, weapon, self.senders(weapon, send, MANY, hang_up=hang_up, uid=ATTACKER)

    def check_stop(self, kind, **how):
        service, weapon, sender = self.armed(kind, **how)
        self.strike(service, weapon, MANY, sender)
        self.check_served()
        self.check_stops(service)

    def test_lingering_sockets_of_clients_that_are_gone(self):
        self.check_stop(Linger, hang_up=True)

    def test_fuse_files_of_clients_that_are_gone(self):
        self.check_stop(FuseFile, hang_up=True)

    def test_lingering_sockets_in_half_messages(self):
        self.check_stop(Linger)

    def test_fuse_files_in_half_messages(self):
        self.check_stop(FuseFile)

    def test_lingering_sockets_that_workers_close(self):
        self.check_stop(Linger, send=middle)

    def test_fuse_files_that_workers_close(self):
        self.check_stop(FuseFlush, send=middle)

    def check_backlog(self, kind, hang_up):
        """It is told to end before it has accepted any of the connections."""
        service, weapon, sender = self.armed(kind, hang_up=hang_up)
        with self.stopped(service):
            sender.step()
            weapon.arm(MANY)
            service.send(signal.SIGTERM)
        self.check_stops(service, number=0)

    def test_lingering_sockets_in_the_backlog(self):
        for hang_up in (False, True):
            self.check_backlog(Linger, hang_up)

    def test_fuse_files_in_the_backlog(self):
        for hang_up in (False, True):
            self.check_backlog(FuseFile, hang_up)

    def check_kill(self, kind, hang_up):
        service, weapon, sender = self.armed(kind, hang_up=hang_up)
        self.strike(service, weapon, MANY, sender)
        self.kill(service)
        self.start_within(service)
        self.check_served()

    def test_kill_with_lingering_sockets(self):
        self.check_kill(Linger, False)

    def test_kill_with_fuse_files(self):
        self.check_kill(FuseFile, False)

    def test_kill_after_hang_ups(self):
        self.check_kill(FuseFile, True)


if __name__ == '__main__':
    harness.main()
