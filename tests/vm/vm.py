#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs commands on stock kernels, in a virtual machine that sees this machine's files (read only, changes stay in
memory) and is root in itself."""
import argparse, os, shutil, sys

sys.dont_write_bytecode = True
import kernels  # noqa: E402
from machine import Machine, QEMU  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
SKIPPED = 77


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cache', default=os.environ.get('NSR_VM_CACHE', os.path.join(SOURCE, 'build/vm/kernels')),
                        help='where kernels are kept (default: $NSR_VM_CACHE, else %(default)s)')
    commands = parser.add_subparsers(dest='what', required=True)
    run = commands.add_parser('run', help='boots a kernel and runs one command')
    run.add_argument('--kernel', choices=kernels.SUITES, default='6.12')
    run.add_argument('--lsm', help='the security modules, instead of the kernel\'s own choice')
    run.add_argument('--timeout', type=float, default=600, metavar='SECONDS')
    run.add_argument('--disks', action='store_true', help='has an ext4 at /mnt/ext4 and a btrfs at /mnt/btrfs')
    run.add_argument('command', nargs='+', help='the command, after "--"')
    test = commands.add_parser('test', help='boots a kernel once, and runs the tests of the policy and the service')
    test.add_argument('--kernel', choices=kernels.SUITES, default='6.12')
    test.add_argument('--lsm', help='as above')
    test.add_argument('--enforcement', default='enforce', metavar='LEVEL')
    test.add_argument('--systemd', action='store_true', help='installs the service, and has systemd start it')
    test.add_argument('--timeout', type=float, default=2400, metavar='SECONDS')
    test.add_argument('binaries', type=os.path.abspath)
    fetch = commands.add_parser('fetch', help='gets kernels')
    fetch.add_argument('kernel', nargs='*', default=list(kernels.SUITES))
    return parser.parse_args()


def shares(command):
    """The directories of /tmp that the machine has to see: those that this directory, the source or the command name."""
    found = set()
    for path in (SOURCE, os.getcwd(), *command):
        parts = os.path.abspath(path).split('/') if path.startswith('/') else []
        if parts[1:2] == ['tmp'] and len(parts) > 2 and os.path.isdir('/tmp/' + parts[2]):
            found.add('/tmp/' + parts[2])
    return sorted(found)


def run(options):
    kernel = kernels.fetch(options.kernel, options.cache)
    machine = Machine(options.kernel, kernel, options.cache, options.lsm, options.disks)
    return machine.run(options.command, options.timeout, shares(options.command))


def test(options):
    kernel = kernels.fetch(options.kernel, options.cache)
    build = os.path.dirname(options.binaries) if options.systemd else None
    machine = Machine(options.kernel, kernel, options.cache, options.lsm, install=build, level=options.enforcement)
    command = ['/usr/bin/python3', os.path.join(HERE, 'systemd_check.py'), options.enforcement]
    if not options.systemd:
        command = ['/usr/bin/python3', os.path.join(HERE, 'batch.py'), options.binaries, options.enforcement]
        # Continuous integration has less time than it takes.
        command += [] if os.environ.get('CI') else ['whole']
    return machine.run(command, options.timeout, shares([options.binaries]))


def fetch(options):
    for name in options.kernel:
        print(name, kernels.fetch(name, options.cache).release)
    return 0


def main():
    options = parse()
    os.makedirs(options.cache, exist_ok=True)
    if options.what == 'fetch':
        return fetch(options)
    if os.geteuid() != 0 or not shutil.which(QEMU):
        # Where nobody looks, a tier of the tests must not go missing unseen.
        missing = 'no virtual machine: it takes root and ' + QEMU
        print(missing if os.environ.get('CI') else 'skipped, ' + missing)
        return 1 if os.environ.get('CI') else SKIPPED
    return {'run': run, 'test': test}[options.what](options)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except kernels.Unavailable as error:
        sys.exit('vm: %s' % error)
