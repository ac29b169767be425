# SPDX-License-Identifier: LGPL-2.1-or-later
"""System calls by name and number, and what each of them can fail with although its caller did nothing wrong."""
import errno, re

HEADER = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'


def load():
    with open(HEADER) as file:
        return {int(number): name for name, number in re.findall(r'#define __NR_(\w+) (\d+)', file.read())}


NAMES = load()
NUMBERS = {name: number for number, name in NAMES.items()}

# No descriptor, no memory, no room, a signal, a broken device: what a healthy caller has to reckon with.
NEW_DESCRIPTOR = ('EMFILE', 'ENOMEM')
FILE_CHANGE = ('ENOSPC', 'ENOMEM', 'EIO')
WAIT = ('EINTR',)
ERRORS = {
    **dict.fromkeys(('accept4', 'socket', 'socketpair', 'memfd_create', 'eventfd2', 'timerfd_create', 'epoll_create1',
                     'signalfd4', 'pidfd_open', 'pipe2', 'open_tree', 'inotify_init1'), NEW_DESCRIPTOR),
    **dict.fromkeys(('dup', 'dup3'), ('EMFILE',)),
    **dict.fromkeys(('link', 'linkat', 'rename', 'renameat', 'renameat2', 'mkdir', 'mkdirat', 'symlink', 'symlinkat'),
                    FILE_CHANGE),
    **dict.fromkeys(('unlink', 'unlinkat', 'rmdir', 'fchmod', 'fchmodat', 'fchown', 'fchownat', 'chown', 'chmod',
                     'fstat', 'newfstatat', 'statx', 'getdents64', 'readlinkat', 'fgetxattr', 'getxattr'),
                    ('ENOMEM', 'EIO')),
    **dict.fromkeys(('write', 'pwrite64', 'writev', 'ftruncate', 'fallocate'), ('ENOSPC', 'EIO', 'EINTR')),
    **dict.fromkeys(('read', 'pread64'), ('EIO', 'EINTR', 'ENOMEM')),
    **dict.fromkeys(('fsync', 'fdatasync', 'msync'), ('EIO', 'ENOSPC')),
    **dict.fromkeys(('fsetxattr', 'setxattr'), ('ENOSPC', 'ENOMEM')),
    **dict.fromkeys(('open', 'openat', 'openat2'), ('EMFILE', 'ENOMEM', 'ENOSPC', 'EIO', 'EINTR')),
    **dict.fromkeys(('clone', 'clone3', 'fork', 'vfork'), ('EAGAIN', 'ENOMEM')),
    **dict.fromkeys(('sendmsg', 'sendto'), ('ENOMEM', 'ENOBUFS', 'EINTR')),
    **dict.fromkeys(('recvmsg', 'recvfrom', 'connect'), ('ENOMEM', 'EINTR')),
    **dict.fromkeys(('poll', 'ppoll', 'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'wait4', 'waitid', 'futex',
                     'clock_nanosleep', 'nanosleep'), WAIT),
    **dict.fromkeys(('mmap', 'mprotect', 'mremap', 'brk', 'bind', 'name_to_handle_at', 'setns', 'setsockopt', 'execve',
                     'mount_setattr'), ('ENOMEM',)),
    'open_by_handle_at': ('EMFILE', 'ENOMEM', 'EINTR'),
    'flock': ('EINTR', 'ENOMEM'),
    'epoll_ctl': ('ENOMEM', 'ENOSPC'),
    'getrandom': ('EINTR',),
    'fstatfs': ('EIO', 'ENOMEM', 'EINTR'),
}
# Of what ioctl(2) and fcntl(2) do, only some can fail for want of something: new descriptors, locks, links.
NS_GET_USERNS, NS_GET_PARENT, TUNSETIFF = 0xb701, 0xb702, 0x400454ca
F_DUPFD, F_SETLK, F_SETLKW, F_OFD_SETLKW, F_DUPFD_CLOEXEC = 0, 6, 7, 38, 1030
# 0 stands for a descriptor that is no file: it neither breaks nor fills up.
MULTIPLEXED = {
    ('read', 0): (), ('write', 0): ('EINTR',), ('writev', 0): ('EINTR',),
    ('ioctl', NS_GET_USERNS): NEW_DESCRIPTOR, ('ioctl', NS_GET_PARENT): NEW_DESCRIPTOR,
    ('ioctl', TUNSETIFF): ('ENOMEM',),
    ('fcntl', F_DUPFD): ('EMFILE',), ('fcntl', F_DUPFD_CLOEXEC): ('EMFILE',), ('fcntl', F_SETLK): ('ENOLCK',),
    ('fcntl', F_SETLKW): ('EINTR', 'ENOLCK'), ('fcntl', F_OFD_SETLKW): ('EINTR', 'ENOLCK'),
}
ROLES = ('worker', 'manager', 'helper')
# Those that last: a full table or disk is still full a moment later. A signal is not.
LASTING = ('EMFILE', 'ENOMEM', 'ENOSPC', 'EIO', 'EAGAIN')


class SystemCall:
    """One of a trace: which, and the how manyth of its name."""

    def __init__(self, text, counted):
        number, _, argument = text.partition(':')
        self.name = NAMES[int(number)]
        self.argument = int(argument) if argument else None
        counted[self.name] = self.nth = counted.get(self.name, 0) + 1

    @property
    def key(self):
        return '%s.%d' % (self.name, self.nth)

    @property
    def errors(self):
        if self.argument is not None:
            return MULTIPLEXED.get((self.name, self.argument), ())
        return ERRORS.get(self.name, ())


def parse_trace(words):
    """Role -> its system calls."""
    found = {}
    for role in ROLES:
        counted = {}
        found[role] = [SystemCall(word[1:], counted) for word in words if word[0] == role[0]]
    return found


def number_of_error(name):
    return getattr(errno, name)
