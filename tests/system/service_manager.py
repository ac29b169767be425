# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service manager's side of sd_notify(3): takes notes, and keeps the descriptors that it is given to store."""
import contextlib, os, socket, tempfile

import nslib


class ServiceManager:
    def __init__(self, directory):
        self.address = tempfile.mktemp(prefix='notify.', dir=directory)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)
        self.notes = []
        # Name and descriptor of each; as the real one does it, several may have one name.
        self.stored = []

    def take_notes(self):
        """All lines that the service has sent so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                text, fds = nslib.recv_fds(self.socket)
                self.take(text.decode().split('\n'), fds)
        return self.notes

    def take(self, lines, fds):
        self.notes += lines
        name = ''.join(line[len('FDNAME='):] for line in lines if line.startswith('FDNAME='))
        if 'FDSTORE=1' in lines:
            self.stored += [(name, fd) for fd in fds]
        elif fds:
            raise AssertionError('descriptors that are not to be stored: %r' % lines)
        if 'FDSTOREREMOVE=1' in lines:
            for _, fd in [one for one in self.stored if one[0] == name]:
                os.close(fd)
            self.stored = [one for one in self.stored if one[0] != name]

    def names(self):
        return sorted(name for name, _ in self.stored)

    def close(self):
        self.socket.close()
        for _, fd in self.stored:
            os.close(fd)
        self.stored = []
