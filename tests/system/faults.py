# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests that kill the service at each of its system calls have in common."""
import os, select

from nslib import Conn

MAX_CALLS = 400


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
            and os.stat(os.path.join(service.registry, name)).st_ino == entry]
