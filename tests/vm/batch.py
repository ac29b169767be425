#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs in the virtual machine for a test, program by program: batch.py DIRECTORY-OF-THE-BINARIES LEVEL [pins]."""
import os, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM = os.path.join(os.path.dirname(HERE), 'system')
# What depends on the kernel; the rest of the suite runs outside.
GROUPS = ('restrict', 'lifecycle', 'cgroup', 'restart', 'beyond')
# Emulated, and perhaps beside other work.
SCALE = '6'
PROGRAM_TIMEOUT = 400


def programs(binaries, level, with_pins):
    """Name -> command."""
    python = sys.executable
    found = {
        'conformance': [python, SYSTEM + '/run_conformance.py', '--enforcement', level, '--scale', SCALE, binaries, *GROUPS],
        'channels': [binaries + '/nsresource-channels', '--all-file-systems', '--enforcement=' + level],
    }
    # Pins are the same on all kernels, and each start takes seconds here: one of them is enough.
    for name in ('policy', 'deaths') + (('policy_pins', 'policy_start') if with_pins else ()):
        found[name] = [python, '%s/%s_test.py' % (SYSTEM, name), binaries]
    # Of what hostile users do, only what rests on the kernel: descriptors whose close(2) waits. On one kernel, since each
    # of them takes half a minute here.
    if os.uname().release.startswith('6.1.'):
        found['hostile'] = [python, SYSTEM + '/hostile_descriptors_test.py', binaries, 'AtEnforce.test_hang_up_with_lingering_socket',
                            'AtEnforce.test_fuse_files_of_many_uids_of_a_range']
    for name in [name for name, command in found.items() if not os.path.exists(program_of(command))]:
        print('not there: ' + name)
        del found[name]
    if level == 'enforce':
        return found
    # Without the policy there is nothing to see for the others.
    return {'conformance': [word for word in found['conformance'] if word != 'restrict']}


def program_of(command):
    return command[1] if command[0] == sys.executable else command[0]


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
    binaries, level, with_pins = os.path.abspath(sys.argv[1]), sys.argv[2], 'pins' in sys.argv[3:]
    os.environ['NSR_TEST_PATIENCE'] = '90'
    outcomes = []
    for name, command in programs(binaries, level, with_pins).items():
        begun = time.monotonic()
        outcomes.append((name, run(name, command), time.monotonic() - begun))
    print('\nOn %s:' % os.uname().release)
    for name, outcome, seconds in outcomes:
        print('  %-12s %5.0f s  %s' % (name, seconds, outcome))
    sys.exit(any(outcome != 'passed' for _, outcome, _ in outcomes))


if __name__ == '__main__':
    main()
