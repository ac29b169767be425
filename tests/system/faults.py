# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests that kill the service at each of its system calls have in common."""
import os, select

from nslib import Conn

MAX_CALLS = 400


class Rounds:
    """Numbers of system calls to kill at, until calls come through. One that comes through may do so only because another
    worker, with a job of its own, was the first to move and was taken for the one at work; three in a row mean that
    there are no more system calls."""
    SPARED = 3

    def __init__(self):
        self.spared = 0

    def __iter__(self):
        for count in range(1, MAX_CALLS):
            yield count
            if self.spared == self.SPARED:
                return
        raise AssertionError('no call came through')

    def note(self, killed):
        self.spared = 0 if killed else self.spared + 1


class Caller:
    """One call on a connection of its own."""

    def __init__(self, method, parameters, fds):
        self.call = method, parameters, fds

    def ask(self):
        self.connection = Conn()
        self.connection.send(*self.call)

    def has_answer(self):
        return select.select([self.connection.s], [], [], 0)[0]


def links_of(service, inode):
    """The names of the record of a namespace, none if there is none."""
    try:
        entry = os.stat(os.path.join(service.registry, 'i%d.userns' % inode)).st_ino
    except FileNotFoundError:
        return []
    return [name for name in service.files() if '.userns' in name
            and inode_of(os.path.join(service.registry, name)) == entry]


def inode_of(path):
    """None if the file has gone meanwhile."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
