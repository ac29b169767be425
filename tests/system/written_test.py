#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is written into the registry is what systemd-nsresourced can read: exactly the fields, names and modes of the
interface page."""
import json, os, stat

import harness
from harness import DaemonTest, alloc
from incumbent import K64, Living
from nslib import CFD, CGROUP, NET, NFD, NS_GET_ID, REGISTER, UFD, Cgroup, Conn, ioctl_u64, make_netns


def strict_json(path):
    """One object, no field twice, no number but integers, no empty list; nothing behind it but white space."""
    def pairs(items):
        fields = dict(items)
        assert len(fields) == len(items), 'a field twice in ' + path
        return fields

    def no_float(text):
        raise AssertionError('%s in %s' % (text, path))
    text = harness.read(path)
    assert text.startswith('{') and text.rstrip('\n').endswith('}'), text
    found = json.loads(text, object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float)
    assert not any(value in ([], None, {}) for value in found.values()), found
    return found


class Written(DaemonTest):
    """What lies in the registry has exactly the fields of the interface page."""
    BASE = {'owner', 'name', 'userns', 'usernsId'}
    RANGE = BASE | {'size', 'start', 'target', 'startGid', 'targetGid'}

    def setUp(self):
        super().setUp()
        self.service = self.instance()

    def path(self, name):
        return os.path.join(self.service.registry, name)

    def check(self, one, name, owner, fields, **values):
        """Gives the entry of a namespace, once its fields and its names are found to be right."""
        entry = 'i%d.userns' % one.inode
        found = strict_json(self.path(entry))
        expected = {'owner': owner, 'name': name, 'userns': one.inode, 'usernsId': ioctl_u64(one.fd, NS_GET_ID),
                    **values}
        self.assertEqual({key: found.get(key) for key in expected}, expected)
        transient = 'start' in fields and not found.get('setgroupsDeny')
        if transient and found.get('setgroupsDeny') is False:
            del found['setgroupsDeny']
        self.assertEqual(set(found), set(fields))
        for value in found.values():
            self.assertNotIsInstance(value, float)
        names = {entry, 'n%s.userns' % name, 'o%d.owns/%s' % (owner, entry)}
        if transient:
            names |= {'u%d.userns' % found['start'], 'g%d.userns' % found['startGid']}
        self.assertEqual({os.stat(self.path(n)).st_ino for n in names}, {os.stat(self.path(entry)).st_ino})
        self.assertEqual(os.stat(self.path(entry)).st_nlink, len(names))
        self.assertEqual(len(names), 5 if transient else 3)
        return found

    def test_container(self):
        one = self.keep(alloc(name='box', target=70000))
        self.check(one, 'box', 0, self.RANGE, size=K64, start=one.start, startGid=one.start, target=70000,
                   targetGid=70000)

    def test_dynamic_of_a_user(self):
        one = self.keep(alloc(name='one', size=1, uid=1000))
        self.check(one, '1000-one', 1000, self.RANGE, size=1, start=one.start, startGid=one.start, target=0, targetGid=0)

    def test_self(self):
        fields = self.RANGE | {'setgroupsDeny'}
        one = self.keep(alloc(name='a', size=1, type='self', uid=1000, gid=1001))
        self.check(one, '1000-a', 1000, fields, size=1, start=1000, startGid=1001, target=1000, targetGid=1001,
                   setgroupsDeny=True)
        one = self.keep(alloc(name='b', size=1, type='self', target=0, uid=1000, gid=1001))
        self.check(one, '1000-b', 1000, fields, size=1, start=1000, startGid=1001, target=0, targetGid=0,
                   setgroupsDeny=True)

    def test_registered_only(self):
        one = self.keep(Living([(0, 0, 10)]))
        with Conn() as connection:
            connection.ok(REGISTER, {'name': 'mine', UFD: 0}, [one.fd])
        self.check(one, 'mine', 0, self.BASE)
        with Conn() as connection:
            tap = connection.call(NET, {UFD: 0, 'mode': 'tap'}, [one.fd])
        self.check(one, 'mine', 0, self.BASE | {'netifs'}, netifs=[tap.params['hostInterfaceName']])
        for fd in tap.fds:
            os.close(fd)

    def test_additions(self):
        one, cgroup = self.keep(alloc(name='rich')), Cgroup()
        self.open.callback(cgroup.remove)
        network = make_netns(one.fd)
        with Conn() as connection:
            connection.ok(CGROUP, {UFD: 0, CFD: 1}, [one.fd, cgroup.fd])
            self.check(one, 'rich', 0, self.RANGE | {'cgroups'}, cgroups=[os.fstat(cgroup.fd).st_ino])
            names = []
            for more in ({}, {'namespaceInterfaceName': 'eth0'}):
                reply = connection.ok(NET, {UFD: 0, NFD: 1, 'mode': 'veth', **more}, [one.fd, network])
                names.append(reply['hostInterfaceName'])
        os.close(network)
        self.check(one, 'rich', 0, self.RANGE | {'cgroups', 'netifs'}, netifs=names)

    def test_delegations(self):
        above = self.keep(alloc(name='above', delegateContainerRanges=3))
        given = [start for _, start, _ in above.um[1:]]
        found = self.check(above, 'above', 0, self.RANGE | {'delegates'})
        self.assertEqual(found['delegates'], [{'userns': above.inode, 'start': start, 'startGid': start, 'size': K64}
                                              for start in given])
        middle = self.keep(alloc(name='middle', parent=above.fd, delegateContainerRanges=1))
        (_, own, _), (_, passed, _) = middle.um
        last = self.keep(alloc(name='last', parent=middle.fd))
        self.assertEqual(last.start, passed)
        for start in given:
            wanted = {'userns': above.inode, 'start': start, 'startGid': start, 'size': K64}
            if start == passed:
                wanted.update(userns=middle.inode, ancestorUserns=[above.inode])
            self.assertEqual(strict_json(self.path('u%d.delegate' % start)), wanted)
            self.assertEqual(os.stat(self.path('u%d.delegate' % start)).st_ino,
                             os.stat(self.path('g%d.delegate' % start)).st_ino)
            self.assertEqual(os.stat(self.path('u%d.delegate' % start)).st_nlink, 2)
        self.assertEqual(self.check(above, 'above', 0, self.RANGE | {'delegates'}), found)
        self.check(middle, 'middle', 0, self.RANGE | {'delegates'}, start=own)
        self.check(last, 'last', 0, self.RANGE, start=passed)

    def test_modes_and_that_nothing_else_lies_there(self):
        one = self.keep(alloc(name='a', delegateContainerRanges=1))
        self.keep(alloc(name='b', uid=1000))
        network = make_netns(one.fd)
        with Conn() as connection:
            connection.ok(NET, {UFD: 0, NFD: 1, 'mode': 'veth'}, [one.fd, network])  # writes files anew
        os.close(network)
        top = self.service.registry
        for place, directories, files in os.walk(top):
            for name in files:
                status = os.lstat(os.path.join(place, name))
                self.assertTrue(stat.S_ISREG(status.st_mode), name)
                self.assertEqual(stat.S_IMODE(status.st_mode), 0o600 if name == 'lock' else 0o644, name)
                self.assertEqual((status.st_uid, status.st_gid), (0, 0), name)
            self.assertEqual(stat.S_IMODE(os.stat(place).st_mode), 0o755, place)
            self.assertEqual(os.stat(place).st_uid, 0)
        start, delegated = one.um[0][1], one.um[1][1]
        other = [name for name in self.service.files()
                 if not name.startswith('i') and not name.startswith('o') and str(start) not in name]
        self.assertIn('na.userns', other)
        self.assertEqual({name for name in other if name.endswith('.delegate')},
                         {'u%d.delegate' % delegated, 'g%d.delegate' % delegated})
        self.assertRegex(' '.join(sorted(os.listdir(top))),
                         r'^(g\d+\.(userns|delegate) ){3}(i\d+\.userns ){2}lock n1000-b\.userns na\.userns '
                         r'o0\.owns o1000\.owns( u\d+\.(userns|delegate)){3}$')


if __name__ == '__main__':
    harness.main()
