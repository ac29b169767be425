#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what a kernel keeps ids in with doc/policy-coverage.md, where each such member has a verdict. Without
arguments: the running kernel and the modules that are loaded."""
import argparse, os, re, sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.append(os.path.join(os.path.dirname(HERE), 'vm'))
import kernel_image, kernels  # noqa: E402
from btf import Btf  # noqa: E402
from id_members import Scan  # noqa: E402

DOCUMENT = os.path.join(SOURCE, 'doc/policy-coverage.md')
RUNNING = '/sys/kernel/btf'
ROW = re.compile(r'^\| `(?P<structure>[^`]+)` \| (?P<members>[^|]*) \| (?P<what>[^|]*) \| \*\*(?P<verdict>\w+)\*\*(?P<why>[^|]*) \|$')
VERDICTS = ('held', 'pinned', 'within', 'passing', 'host', 'documented')
SKIPPED = 77


def judged(path):
    """The pairs of structure and member that the document has a verdict for."""
    found = set()
    with open(path) as file:
        for line in file:
            row = ROW.match(line.rstrip('\n'))
            if row and row['verdict'] in VERDICTS:
                found.update((row['structure'], member) for member in row['members'].replace('`', '').split())
            elif line.startswith('| `'):
                sys.exit('%s: not a row of the table: %s' % (path, line.strip()))
    return found


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def running():
    """Name and type information of the running kernel, then of each of its modules."""
    yield 'vmlinux', read(RUNNING + '/vmlinux')
    for module in sorted(set(os.listdir(RUNNING)) - {'vmlinux'}):
        yield module, read(os.path.join(RUNNING, module))


def stored(kernel):
    """The same of a kernel from the files of its package, with all modules."""
    yield 'vmlinux', kernel_image.of_kernel(kernel.image)
    yield from kernel_image.of_modules(kernel.modules)


def keepers(sources):
    """Structure and member -> where it was found first."""
    kernel, found = None, {}
    for name, data in sources:
        scan = Scan(Btf(data, kernel.btf if kernel else None), kernel)
        kernel = kernel or scan
        for member in scan.members():
            found.setdefault(member, name)
    return found


def report(release, found, known):
    """The exit status."""
    new = sorted((structure, member, found[structure, member]) for structure, member in set(found) - known)
    for structure, member, where in new:
        print('%s: %s.%s (%s) has no verdict in doc/policy-coverage.md' % (release, structure, member, where))
    print('%s: %d members keep ids, %d of them are not judged' % (release, len(found), len(new)))
    return 1 if new else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kernels', metavar='DIRECTORY', help='those that are unpacked there, with all of their modules')
    parser.add_argument('--list', action='store_true', help='shows what is found, and compares nothing')
    return parser.parse_args()


def main():
    options = parse()
    if options.kernels:
        names = [name for name in kernels.SUITES if os.path.exists(os.path.join(options.kernels, name))]
        every = [(kernel.release, stored(kernel)) for kernel in
                 (kernels.Kernel(os.path.join(options.kernels, name)) for name in names)]
    else:
        every = [(os.uname().release, running())] if os.path.exists(RUNNING) else []
    if not every:
        print('skipped: no kernel with type information here')
        return SKIPPED
    if options.list:
        for structure, member in sorted(set().union(*(keepers(sources) for _, sources in every))):
            print(structure, member)
        return 0
    known, status, seen = judged(DOCUMENT), 0, set()
    for release, sources in every:
        found = keepers(sources)
        seen |= set(found)
        status |= report(release, found, known)
    if options.kernels and len(every) == len(kernels.SUITES):
        for structure, member in sorted(known - seen):
            print('no kernel has %s.%s any more, which doc/policy-coverage.md judges' % (structure, member))
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main())
