# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initial file system: a small static program and the modules that it loads, as the kernel wants it (cpio)."""
import gzip, lzma, os, stat

import kernels

HERE = os.path.dirname(os.path.abspath(__file__))
# What the root file system needs. What is built into a kernel is not in its list of dependencies.
WANTED = ('virtio_pci', '9pnet_virtio', '9p', 'overlay')
OPENERS = {'.ko': open, '.xz': lzma.open, '.gz': gzip.open}


def dependencies(kernel):
    """Name of a module -> its path and those of what it needs, from depmod's list."""
    found = {}
    with open(os.path.join(kernel.modules, 'modules.dep')) as file:
        for line in file:
            path, _, needs = line.partition(':')
            found[os.path.basename(path).split('.')[0].replace('-', '_')] = [path, *needs.split()]
    return found


def modules_in_order(kernel):
    """The paths of all that is wanted, what is needed first."""
    order, known = [], dependencies(kernel)
    for name in WANTED:
        # depmod names what has to be loaded first last.
        order += [path for path in reversed(known.get(name, [])) if path not in order]
    return order


def content(path):
    with OPENERS[os.path.splitext(path)[1]](path, 'rb') as file:
        return file.read()


class Archive:
    """A cpio archive, "newc"."""

    def __init__(self):
        self.data, self.inode = bytearray(), 0

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def add(self, name, mode, data=b''):
        self.inode += 1
        name = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        self.data += b'070701' + b''.join(b'%08X' % field for field in fields) + name
        self.pad()
        self.data += data
        self.pad()

    def finish(self):
        self.add('TRAILER!!!', 0)
        return self.data


def build_init(directory):
    """Compiles init.c, and gives the program's path."""
    program, source = os.path.join(directory, 'init'), os.path.join(HERE, 'init.c')
    if not os.path.exists(program) or os.stat(program).st_mtime < os.stat(source).st_mtime:
        new = '%s.%d' % (program, os.getpid())
        kernels.run('cc', '-static', '-O2', '-Wall', '-Wextra', '-Werror', '-o', new, source)
        os.rename(new, program)
    return program


def build(kernel, directory, target):
    """Writes the archive for `kernel` to the file `target`; `directory` keeps what can be used again."""
    archive, names = Archive(), []
    archive.add('modules', stat.S_IFDIR | 0o755)
    archive.add('dev', stat.S_IFDIR | 0o755)
    for path in modules_in_order(kernel):
        names.append('/modules/%s.ko' % os.path.basename(path).split('.')[0])
        archive.add(names[-1][1:], stat.S_IFREG | 0o644, content(os.path.join(kernel.modules, path)))
    archive.add('modules/list', stat.S_IFREG | 0o644, '\n'.join(names).encode())
    archive.add('init', stat.S_IFREG | 0o755, content_of_program(build_init(directory)))
    with open(target, 'wb') as file:
        file.write(archive.finish())


def content_of_program(path):
    with open(path, 'rb') as file:
        return file.read()
