# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an instance has pinned below /sys/fs/bpf."""
import os, shutil, struct

import bpf

MAPS = ('namespaces', 'owners', 'cgroups')


class Pins:
    """The directory of the instance with this runtime directory."""

    def __init__(self, path):
        self.path = path

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def sets(self, kind):
        return sorted(name for name in os.listdir(self.path) if name.startswith(kind + '-'))

    def only(self, kind):
        """The path of the only set of this kind."""
        found = self.sets(kind)
        assert len(found) == 1, 'sets that are there: %r' % os.listdir(self.path)
        return self.at(found[0])

    def links(self):
        """Each link of programs -> its id, and its program's."""
        found = {}
        for kind in ('policy', 'deaths'):
            for name in self.sets(kind):
                for link in os.listdir(self.at(name)):
                    found[name + '/' + link] = bpf.link_ids(self.at(name, link))
        return found

    def map(self, name):
        return bpf.Map(os.path.join(self.only('maps'), name))

    def content(self):
        """Of all maps about namespaces."""
        found = {}
        for name in MAPS:
            with self.map(name) as one:
                found[name] = one.content()
        return found

    def is_dead(self, inode):
        with self.map('namespaces') as namespaces:
            value = namespaces.get(struct.pack('=I', inode))
        return value is not None and struct.unpack(bpf.NAMESPACE, value)[2] != 0

    def remove(self):
        shutil.rmtree(self.path)


EMPTY = {name: {} for name in MAPS}
