#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What containers do every day, in a managed namespace: none of it may be refused. workloads.py DIRECTORY-OF-THE-BINARIES"""
import ctypes, fcntl, os, shutil, signal, socket, struct, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'system'))
import harness  # noqa: E402
from harness import DaemonTest, alloc  # noqa: E402
from nslib import (CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS, FOREIGN,  # noqa: E402
                   K64, MS_PRIVATE, MS_REC, idmap_mount, libc, make_userns, mount, move_mount, open_tree, oserr, run_in,
                   unshare, wr)

LIST = 'system.posix_acl_access'
CAPABILITY = struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0)
SETUP = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin; TMPDIR=/mnt; export PATH TMPDIR; set -e; umask 022; '
libc.syscall.restype = ctypes.c_long


def sh(script):
    """Its output; a failure with what it said."""
    done = subprocess.run(['sh', '-c', SETUP + script], capture_output=True, text=True, cwd='/mnt')
    if done.returncode != 0:
        raise OSError(0, 'sh: %s' % (done.stderr or done.stdout).strip()[-300:])
    return done.stdout.strip()


def expect(found, wanted):
    if found != wanted:
        raise OSError(0, '%r instead of %r' % (found, wanted))


def call(name, *arguments):
    result = getattr(libc, name)(*arguments)
    if result < 0:
        oserr(name)
    return result


def become(uid, gid=None):
    os.setresgid(*[uid if gid is None else gid] * 3)
    os.setresuid(uid, uid, uid)


def acl(user):
    entries = ((1, 6, -1), (2, 4, user), (4, 4, -1), (16, 4, -1), (32, 0, -1))
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *entry) for entry in entries)


def owner(path):
    found = os.lstat(path)
    return found.st_uid, found.st_gid


def archive():
    os.mkdir('/mnt/a')
    sh('cp /bin/true a/x; chown 5:6 a/x; mkfifo a/p; ln a/x a/y; ln -s x a/z; mkdir a/d; chown 33:33 a/d; chmod 2770 a/d')
    os.setxattr('/mnt/a/x', LIST, acl(77))
    os.setxattr('/mnt/a/x', 'security.capability', CAPABILITY)
    sh('tar --acls --xattrs --xattrs-include="*" --numeric-owner -C a -cf t.tar .; mkdir b;'
       'tar --acls --xattrs --xattrs-include="*" --numeric-owner -C b -xpf t.tar')
    expect((owner('/mnt/b/x'), owner('/mnt/b/d')), ((5, 6), (33, 33)))
    expect(os.getxattr('/mnt/b/x', LIST), acl(77))
    expect(os.getxattr('/mnt/b/x', 'security.capability')[4:20], CAPABILITY[4:])


def package():
    sh('mkdir -p p/DEBIAN p/var/games root/var/lib/dpkg/updates root/var/lib/dpkg/info;'
       ': >root/var/lib/dpkg/status; : >root/var/lib/dpkg/available; echo x >p/var/games/score; chown 5:60 p/var/games/score;'
       'printf "Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@x>\\nDescription: x\\n" >p/DEBIAN/control;'
       'dpkg-deb -Znone -b p x.deb; dpkg --root=/mnt/root -i x.deb')
    expect(owner('/mnt/root/var/games/score'), (5, 60))


def copies():
    sh('mkdir s; cp -a /etc/alternatives s/; chown -R 7:7 s; cp -a s t; install -o 3 -g 4 -m 2755 /bin/true q;'
       'install -d -o 33 -g 33 -m 2770 w; touch w/f; mv q r; ln r u; mknod n c 0 0')
    expect((owner('/mnt/t'), owner('/mnt/u'), owner('/mnt/w/f')), ((7, 7), (3, 4), (0, 33)))


def system_v():
    become(100)
    ids = call('shmget', 17, 65536, 0o1600), call('semget', 18, 17, 0o1600), call('msgget', 19, 0o1600)
    buffer = ctypes.create_string_buffer(256)
    for name, number in zip(('shmctl', 'msgctl'), (ids[0], ids[2])):
        call(name, number, 2, buffer)
        struct.pack_into('=II', buffer, 4, 101, 101)
        call(name, number, 1, buffer)


def message_queues():
    mount('q', '/mnt', 'mqueue')
    open('/mnt/q', 'w').close()
    os.chown('/mnt/q', 5, 5)
    expect(owner('/mnt/q'), (5, 5))
    os.unlink('/mnt/q')


def terminals():
    mount('pts', '/mnt', 'devpts', 0, 'newinstance,gid=5,mode=620,ptmxmode=666')
    os.open('/mnt/ptmx', os.O_RDWR | os.O_NOCTTY)
    expect(owner('/mnt/0'), (0, 5))
    os.chown('/mnt/0', 1000, 5)


def shared_memory():
    os.mkdir('/mnt/shm')
    mount('shm', '/mnt/shm', 'tmpfs', 0, 'mode=1777,size=10m,uid=3,gid=4')
    become(9)
    open('/mnt/shm/sem.x', 'w').close()
    socket.socket(socket.AF_UNIX).bind('/mnt/shm/socket')
    os.chmod('/mnt/shm/socket', 0o666)


def overlay(base='/mnt', options='userxattr'):
    for name in ('l', 'u', 'w', 'm'):
        os.makedirs('%s/%s' % (base, name), exist_ok=True)
    os.mkdir(base + '/l/d')
    for name in ('f', 'g', 'd/h'):
        open('%s/l/%s' % (base, name), 'w').close()
    mount('o', base + '/m', 'overlay', 0, 'lowerdir={0}/l,upperdir={0}/u,workdir={0}/w,{1}'.format(base, options))
    merged = base + '/m/'
    os.chown(merged + 'f', 9, 9)
    os.rename(merged + 'f', merged + 'k')
    os.unlink(merged + 'g')
    # It takes an attribute that hides what is below; tmpfs has none of that kind up to Linux 6.5.
    if base != '/mnt':
        shutil.rmtree(merged + 'd')
        os.mkdir(merged + 'd')
    os.setxattr(merged + 'k', LIST, acl(5))
    expect((owner(merged + 'k'), 'g' in os.listdir(merged)), ((9, 9), False))


def keyctl(*arguments):
    result = libc.syscall(250, *[ctypes.c_long(word) if isinstance(word, int) else word for word in arguments])
    return result if result >= 0 else oserr('keyctl %r' % (arguments,))


def add_key(kind, name, value, ring):
    size = ctypes.c_size_t(len(value) if value else 0)
    result = libc.syscall(248, kind.encode(), name.encode(), value, size, ctypes.c_int(ring))
    return result if result >= 0 else oserr('add_key')


def keyrings():
    session = keyctl(1, ctypes.c_char_p(b'_ses.container'))
    keyctl(5, session, 0x3f1f0000 | 0x80000)
    key = add_key('user', 'k', b'v', -3)
    keyctl(15, key, 100)
    keyctl(8, -4, -3)
    add_key('user', 'u', b'v', -4)
    keyctl(22, ctypes.c_long(-1), -2)


def foreign_keys():
    become(FOREIGN + 5)
    keyctl(1, 0)
    add_key('user', 'k', b'v', -3)


def fuse(path):
    device = os.open(path, os.O_RDWR)
    os.mkdir('/mnt/f')
    mount('f', '/mnt/f', 'fuse', 0, 'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % device)


def nested():
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        theirs.send(b'x')
        theirs.recv(1)
        os.setgroups([1, 2])
        become(0)
        mount('none', '/', None, MS_REC | MS_PRIVATE)
        mount('t', '/mnt', 'tmpfs')
        overlay()
        os._exit(0)
    ours.recv(1)
    for which in ('uid_map', 'gid_map'):
        wr('/proc/%d/%s' % (pid, which), '0 1000 30000\n')
    ours.send(b'x')
    expect(os.waitpid(pid, 0)[1], 0)


def network(device):
    tap = os.open(device, os.O_RDWR)
    fcntl.ioctl(tap, 0x400454ca, struct.pack('16sH22x', b'tap0', 0x1002))
    fcntl.ioctl(tap, 0x400454cc, 5)
    fcntl.ioctl(tap, 0x400454ce, 5)
    sh('ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 10.0.0.1/24 dev v0; ip link set v0 up')


def descriptors():
    for one in (os.pipe()[0], socket.socket().detach(), socket.socket(socket.AF_UNIX).detach(), os.memfd_create('x')):
        os.fchown(one, 5, 5)
        expect(os.fstat(one).st_uid, 5)


def credentials():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    right.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    left.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('=iII', os.getpid(), 5, 6))])
    (_, _, sent), = right.recvmsg(1, 64)[1]
    expect(struct.unpack('=iII', sent)[1:], (5, 6))


def signals_about_files():
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    os.write(writer, b'x')
    expect(bool(signal.sigtimedwait([signal.SIGIO], 5)), True)


def set_user_id():
    sh('cp /usr/bin/python3 x; chown 5:5 x; chmod 4755 x; chmod 755 /mnt')
    become(9)
    done = subprocess.run(['/mnt/x', '-ISc', 'import os; print(os.geteuid())'], capture_output=True, text=True)
    expect(done.stdout.strip(), '5')


def temporary_file():
    file = os.open('/mnt', os.O_TMPFILE | os.O_RDWR, 0o644)
    os.fchown(file, 5, 5)
    # AT_FDCWD, AT_SYMLINK_FOLLOW; Python's own link() follows nothing.
    call('linkat', -100, b'/proc/self/fd/%d' % file, -100, b'/mnt/f', 0x400)
    expect(owner('/mnt/f'), (5, 5))


def new_root():
    sh('mkdir -p r/old r/proc')
    mount('r', '/mnt/r', 'tmpfs')
    os.makedirs('/mnt/r/old')
    os.chdir('/mnt/r')
    if libc.syscall(155, b'.', b'old') < 0:
        oserr('pivot_root')
    if libc.sethostname(b'c', 1) < 0:
        oserr('sethostname')
    os.setgroups([1, 2, 3])
    os.mkdir('/etc')
    os.chown('/etc', 1, 2)


def system_users():
    sh('mkdir -p r/etc r/usr/lib; cp -r /usr/lib/sysusers.d r/usr/lib/; systemd-sysusers --root=/mnt/r')
    expect(os.path.getsize('/mnt/r/etc/passwd') > 100, True)


def temporary_files():
    sh('mkdir -p r/etc r/usr/lib/tmpfiles.d; echo root:x:0:0::/:/bin/sh >r/etc/passwd; echo root:x:0: >r/etc/group;'
       'printf "d /var/a 2755 0 6\\nf /var/a/f 0644 7 8 - x\\nL /var/a/l - - - - f\\na+ /var/a/f - - - - u:9:r\\n" >r/usr/lib/tmpfiles.d/x.conf;'
       'systemd-tmpfiles --root=/mnt/r --create x.conf')
    expect((owner('/mnt/r/var/a'), owner('/mnt/r/var/a/f')), ((0, 6), (7, 8)))


def delegated(start):
    os.mkdir('/mnt/d')
    os.chown('/mnt/d', start + 5, start + 5)
    expect(owner('/mnt/d'), (start + 5,) * 2)


def mapped_directory(tree):
    move_mount(tree, '/mnt')
    sh('cp -a /bin/true x; chown 5:6 x; mkdir -m 2775 d; chgrp 50 d; chmod g+s d; touch d/f; mkfifo d/p; ln x y; ln -s x z; mv x v;'
       'mkdir c; tar --exclude=c -cf - . | tar -C c -xpf -')
    expect((owner('/mnt/v'), owner('/mnt/d/f'), owner('/mnt/c/v')), ((5, 6), (0, 50), (5, 6)))
    os.setxattr('/mnt/v', LIST, acl(77))
    os.setxattr('/mnt/v', 'security.capability', CAPABILITY)
    temporary_file()
    os.mkdir('/mnt/o')
    overlay('/mnt/o')


def home(path):
    sh('cd %s; touch f; mkdir d; chmod 2755 d; ln f g; ln -s f h; mv g i; touch d/x' % path)
    os.mkdir(path + '/o')
    for name in ('l', 'u', 'w', 'm'):
        os.mkdir('%s/o/%s' % (path, name))
    open(path + '/o/l/x', 'w').close()
    mount('o', path + '/o/m', 'overlay', 0, 'lowerdir={0}/l,upperdir={0}/u,workdir={0}/w,userxattr'.format(path + '/o'))
    os.unlink(path + '/o/m/x')
    open(path + '/o/m/y', 'w').close()
    keyrings()


ORDINARY = (archive, package, copies, system_v, message_queues, terminals, shared_memory, overlay, keyrings, foreign_keys,
            nested, descriptors, credentials, signals_about_files, set_user_id, temporary_file, new_root, system_users,
            temporary_files)


class Workloads(DaemonTest):
    def setUp(self):
        super().setUp()
        self.service = self.instance(enforcement=None)
        subprocess.run(['modprobe', '-qa', 'overlay', 'fuse', 'tun', 'veth', 'loop'])
        self.place = tempfile.mkdtemp(dir='/dev/shm')
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        os.chmod(self.place, 0o755)

    def run_workload(self, one, workload, *arguments):
        def body():
            unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWCGROUP)
            mount('none', '/', None, MS_REC | MS_PRIVATE)
            mount('t', '/mnt', 'tmpfs', 0, 'mode=0755')
            # A change of ids has given /proc/self to root of the host.
            libc.prctl(4, 1, 0, 0, 0)
            try:
                workload(*arguments)
            except OSError as error:
                return str(error)
            return 'done'
        with self.subTest(workload.__name__):
            self.assertEqual(run_in(body, one.fd, timeout=15), 'done')

    def device(self, name, minor):
        """Not each host lets every user open its own."""
        path = self.place + '/' + name
        os.mknod(path, 0o020666, os.makedev(10, minor))
        os.chmod(path, 0o666)
        return path

    def mapped(self, one):
        """A directory of an ext4 of the host, whose ids on disk are foreign ones."""
        image, at = self.place + '/image', self.place + '/ext4'
        os.mkdir(at)
        subprocess.run('truncate -s 32M %s && mkfs.ext4 -q %s && mount -o loop %s %s' % (image, image, image, at), shell=True, check=True)
        self.addCleanup(subprocess.run, ['umount', '-l', at])
        os.mkdir(at + '/base')
        os.chown(at + '/base', FOREIGN, FOREIGN)
        tree = open_tree(at + '/base')
        self.open.callback(os.close, tree)
        users = make_userns(maps=[(FOREIGN, one.start, K64)])
        idmap_mount(tree, users)
        os.close(users)
        return tree

    def test_all_are_allowed(self):
        one = self.keep(alloc(uid=1000, delegateContainerRanges=1, mapForeign=True))
        for workload in ORDINARY:
            self.run_workload(one, workload)
        self.run_workload(one, fuse, self.device('fuse', 229))
        self.run_workload(one, network, self.device('tun', 200))
        self.run_workload(one, mapped_directory, self.mapped(one))
        own = self.keep(alloc(uid=1000, size=1, target=0, type='self', delegateContainerRanges=1))
        os.mkdir(self.place + '/home')
        os.chown(self.place + '/home', 1000, 1000)
        self.run_workload(own, home, self.place + '/home')
        self.run_workload(own, delegated, next(start for _, start, size in own.um if size == K64))


if __name__ == '__main__':
    harness.main()
