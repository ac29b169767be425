# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers of system calls on x86_64, and what may fail them."""

NUMBERS = {name: number for number, name in enumerate(
    'read write open close stat fstat lstat poll lseek mmap mprotect munmap brk'.split())}
NUMBERS.update(ioctl=16, pread64=17, pwrite64=18, socket=41, connect=42, sendto=44, recvfrom=45, sendmsg=46, recvmsg=47,
               socketpair=53, clone=56, fork=57, vfork=58, wait4=61, fcntl=72, flock=73, fsync=74, fdatasync=75,
               ftruncate=77, rename=82, mkdir=83, rmdir=84, unlink=87, fchmod=91, chown=92, fchown=93, getdents64=217,
               openat=257, mkdirat=258, fchownat=260, newfstatat=262, unlinkat=263, renameat=264, linkat=265,
               symlinkat=266, fchmodat=268, ppoll=271, utimensat=280, fallocate=285, pwritev=296, setns=308, dup3=292,
               open_by_handle_at=304, name_to_handle_at=303, renameat2=316, bpf=321, statx=332, clone3=435,
               close_range=436, openat2=437, pidfd_open=434)
NAMES = {number: name for name, number in NUMBERS.items()}

# What each call may fail with when a machine gives out; a call that is not here cannot fail for that.
_FULL, _DISK = ('ENOSPC', 'EIO'), ('EIO', 'ENOMEM')
ERRNOS = {'read': ('EIO', 'EINTR'), 'pread64': ('EIO', 'EINTR'), 'write': _FULL, 'pwrite64': _FULL,
          'openat': ('EMFILE', 'ENOMEM', 'EINTR', 'EIO'), 'openat2': ('EMFILE', 'ENOMEM'), 'linkat': _FULL,
          'renameat': _FULL, 'renameat2': _FULL, 'rename': _FULL, 'mkdirat': _FULL, 'unlinkat': _DISK,
          'rmdir': ('EIO',), 'ftruncate': _FULL, 'fallocate': ('ENOSPC', 'EINTR'), 'fsync': ('EIO',), 'fdatasync': ('EIO',),
          'flock': ('EINTR', 'ENOMEM'), 'fstat': _DISK, 'newfstatat': _DISK, 'statx': _DISK, 'fchmod': _DISK,
          'fchmodat': _DISK, 'fchown': _DISK, 'fchownat': _DISK, 'getdents64': _DISK, 'clone': ('EAGAIN', 'ENOMEM'),
          'clone3': ('EAGAIN', 'ENOMEM'), 'vfork': ('EAGAIN',), 'fork': ('EAGAIN',), 'setns': ('ENOMEM',),
          'open_by_handle_at': ('EMFILE', 'ENOMEM', 'EINTR'), 'name_to_handle_at': ('ENOMEM',),
          'socket': ('EMFILE', 'ENOMEM'), 'socketpair': ('EMFILE', 'ENOMEM'), 'connect': ('ENOMEM',),
          'sendmsg': ('ENOMEM', 'ENOBUFS'), 'sendto': ('ENOMEM', 'ENOBUFS'), 'recvfrom': ('EINTR', 'ENOMEM'),
          'pidfd_open': ('EMFILE', 'ENOMEM'), 'dup3': ('EMFILE',)}
