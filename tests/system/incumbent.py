# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry as systemd-nsresourced leaves it, to the letter of the interface page, for namespaces that really live."""
import json, os

from clients import Namespace
from nslib import NS_GET_ID, ioctl_u64, make_userns

K64 = 65536


class Living(Namespace):
    """A namespace whose maps were written without the service under test."""

    def __init__(self, lines, uid=0, parent=None):
        super().__init__(make_userns(uid, maps=lines, parent=parent))
        self.id = ioctl_u64(self.fd, NS_GET_ID)


def pool_range(number):
    return 524288 + K64 * number


class Registry:
    """`age` is 'new', or 'old': without the fields that older versions did not write."""

    def __init__(self, directory, age='new'):
        self.directory, self.age = directory, age
        os.makedirs(directory, mode=0o755, exist_ok=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, what, links):
        if self.age == 'old':
            what = {key: value for key, value in what.items() if key not in ('startGid', 'targetGid', 'usernsId')}
        with open(self.path(name), 'w') as file:
            file.write(json.dumps(what, separators=(',', ':')) + '\n')
        os.chmod(self.path(name), 0o644)
        for link in links:
            os.makedirs(os.path.dirname(self.path(link)), mode=0o755, exist_ok=True)
            os.link(self.path(name), self.path(link))

    def record(self, one, name, owner=0, range_=None, **more):
        """`range_` is start, size and target; it is a transient one unless setgroupsDeny is among the rest."""
        entry = 'i%d.userns' % one.inode
        what = {'owner': owner, 'name': name, 'userns': one.inode, 'usernsId': one.id}
        links = ['n%s.userns' % name, 'o%d.owns/%s' % (owner, entry)]
        if range_:
            start, size, target = range_
            what.update(size=size, start=start, target=target, startGid=start, targetGid=target)
            if not more.get('setgroupsDeny'):
                links += ['u%d.userns' % start, 'g%d.userns' % start]
        what.update(more)
        self.write(entry, what, links)

    def delegate(self, start):
        return self.without_gid({'start': start, 'startGid': start, 'size': K64})

    def without_gid(self, what):
        return {key: value for key, value in what.items() if self.age == 'new' or key != 'startGid'}

    def delegations(self, holder, starts):
        """The field of the holder's entry."""
        return [{'userns': holder.inode, **self.delegate(start)} for start in starts]

    def delegation(self, holder, start, ancestors=()):
        what = {'userns': holder.inode, **self.delegate(start)}
        if ancestors:
            what['ancestorUserns'] = [one.inode for one in ancestors]
        self.write('u%d.delegate' % start, what, ['g%d.delegate' % start])
