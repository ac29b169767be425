#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs in the virtual machine for a test, program by program: batch.py DIRECTORY-OF-THE-BINARIES LEVEL [whole]."""
import os, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = os.path.join(os.path.dirname(HERE), 'system')
POLICY = os.path.join(os.path.dirname(HERE), 'policy')
# What depends on the kernel; the rest of the suite runs outside.
GROUPS = ('restrict', 'lifecycle', 'cgroup', 'restart', 'beyond')
# Emulated, and perhaps beside other work.
SCALE = '6'
PROGRAM_TIMEOUT = 600


def kernel():
    """As the tests call it."""
    return next((name for name in ('6.1', '6.12') if os.uname().release.startswith(name + '.')), 'newest')


def programs(binaries, level, whole):
    """Name -> command. The newest kernel is the slowest one here: without `whole` it gets only what may differ from one
    kernel to the next."""
    at_length = whole or kernel() != 'newest'
    python = sys.executable
    test = lambda name, *cases: [python, '%s/%s_test.py' % (SYSTEM, name), binaries, *cases]
    conformance = [python, SYSTEM + '/run_conformance.py', '--enforcement', level, '--scale', SCALE, binaries]
    if level != 'enforce':
        # Without the policy there is nothing to see for the others.
        return {'conformance': [*conformance, *(group for group in GROUPS if group != 'restrict')]}
    found = {
        'conformance': [*conformance, *(GROUPS if at_length else ('restrict',))],
        'channels': [binaries + '/nsresource-channels', *(['--all-file-systems'] if at_length else []), '--enforcement=enforce'],
        # After those, which have modules loaded: file systems and drivers.
        'coverage': [python, POLICY + '/coverage.py'],
        'deaths': test('deaths'),
        'heartbeat': test('heartbeat'),
    }
    if at_length:
        found.update(policy=test('policy'), workloads=[python, POLICY + '/workloads.py', binaries])
    # Pins are the same on all kernels, and each start takes seconds here: one of them is enough.
    if whole and kernel() == 'newest':
        found.update(policy_pins=test('policy_pins'), policy_start=test('policy_start'))
    # Of what hostile users do, only what rests on the kernel: descriptors whose close(2) waits. Each takes half a minute.
    if kernel() == '6.1':
        found['hostile'] = test('hostile_descriptors', 'AtEnforce.test_hang_up_with_lingering_socket',
                                'AtEnforce.test_fuse_files_of_many_uids_of_a_range')
        found['core_files'] = test('core_files', 'AtEnforce')
    return found


def run(name, command):
    """The outcome, in words. In the machine nothing is missing, so a program that skips itself has failed."""
    print('==> %s' % name, flush=True)
    try:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PROGRAM_TIMEOUT).returncode
    except subprocess.TimeoutExpired:
        return 'took too long'
    except OSError as error:
        return str(error)
    return 'passed' if status == 0 else 'exit status %d' % status


def main():
    binaries, level, whole = os.path.abspath(sys.argv[1]), sys.argv[2], 'whole' in sys.argv[3:]
    os.environ['NSR_TEST_PATIENCE'] = '90'
    outcomes = []
    for name, command in programs(binaries, level, whole).items():
        begun = time.monotonic()
        outcomes.append((name, run(name, command), time.monotonic() - begun))
    print('\nOn %s:' % os.uname().release)
    for name, outcome, seconds in outcomes:
        print('  %-12s %5.0f s  %s' % (name, seconds, outcome))
    sys.exit(any(outcome != 'passed' for _, outcome, _ in outcomes))


if __name__ == '__main__':
    main()
