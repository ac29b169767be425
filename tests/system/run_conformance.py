#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs groups of tests/conformance against a private instance.

Exit status 0: every case passed, was skipped (each is named with its reason), or fails for a reason that NEEDS names.
"""
import argparse, os, shutil, signal, subprocess, sys, threading

import harness
from harness import Instance, Setting

GROUPS = ('protocol', 'userdb', 'allocate', 'lifecycle', 'register', 'mount', 'cgroup', 'network', 'restart', 'beyond')

# Cases that cannot pass without something that is not there below the level `enforce`. One that passes nevertheless is an
# error too, so that this list does not outlive its reasons.
NEEDS = {
    'self_setgroups_allowed_below_delegated': 'only the policy of enforce can allow setgroups again below type self',
    'restart_restrictions_while_down': 'while the service is down only the policy of enforce holds',
}

# The same for kernels before 6.3, at each level.
LACKS = dict.fromkeys(('wr_idmapped_to_transient', 'wr_idmapped_onto_dynamic', 'wr_overlay_idmapped_upper'),
                      'this kernel has no id-mapped tmpfs')


class Control:
    """Lets the shell commands of the suite end and start the instance, which is this process's child: they write a word
    to one FIFO, and wait for an answer on another."""

    def __init__(self, instance):
        self.instance = instance
        self.asked, self.done = instance.path('asked'), instance.path('done')
        os.mkfifo(self.asked)
        os.mkfifo(self.done)
        threading.Thread(target=self.serve, daemon=True).start()

    def command(self, word):
        return 'echo %s >%s && read answer <%s && test "$answer" = ok' % (word, self.asked, self.done)

    def serve(self):
        while True:
            with open(self.asked) as file:
                word = file.read().strip()
            with open(self.done, 'w') as file:
                file.write(self.carry_out(word) + '\n')

    def carry_out(self, word):
        try:
            if word in ('stop', 'restart') and self.instance.stop() != 0:
                return 'it failed'
            if word in ('start', 'restart'):
                self.instance.start()
            return 'ok'
        except (AssertionError, OSError) as error:
            return str(error).split('\n')[0]


def expected_failures(enforcement):
    """Names of cases with their reasons."""
    found = {} if enforcement == 'enforce' else dict(NEEDS)
    release = tuple(int(number) for number in os.uname().release.split('.')[:2])
    return found if release >= (6, 3) else {**found, **LACKS}


def run_suite(instance, groups, scale):
    control = Control(instance)
    command = [sys.executable, os.path.join(harness.HERE, '../conformance/run.py'), '--socket', instance.socket,
               '--registry', instance.registry, '--scale', str(scale)]
    for group in groups:
        command += ['--group', group]
    for word in ('restart', 'stop', 'start'):
        command += ['--' + word, control.command(word)]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as suite:
        for line in suite.stdout:
            print(line, end='', flush=True)
            lines.append(line.strip())
    return lines


def judge(lines, enforcement='none'):
    """The lines of the suite that are not as they should be."""
    needs = expected_failures(enforcement)
    wrong, skipped, cases = [], [], 0
    for line in lines:
        outcome, _, rest = line.partition(' ')
        name = rest.split(':')[0]
        if outcome not in ('ok', 'FAIL', 'skip'):
            continue
        cases += 1
        if outcome == 'skip':
            skipped.append('%s (%s)' % tuple(rest.partition(': ')[::2]))
        elif outcome == 'FAIL' and name in needs:
            skipped.append('%s (%s)' % (name, needs[name]))
        elif outcome == 'FAIL' or name in needs:
            wrong.append(line if outcome == 'FAIL' else 'passes, though it is said to need more: ' + name)
    if not cases:
        wrong.append('no case was run')
    print('\n'.join(['', 'Not run, or not expected to pass:', *(skipped or ['none'])]))
    return wrong


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binaries', metavar='DIRECTORY-OF-THE-BINARIES')
    parser.add_argument('groups', nargs='*', metavar='GROUP', default=GROUPS)
    parser.add_argument('--enforcement', default='none', metavar='LEVEL')
    parser.add_argument('--scale', type=float, default=3, help='multiplies the time limits of the suite')
    return parser.parse_args()


def main():
    options = parse()
    if os.geteuid() != 0:
        print('skipped: only root can run the service')
        sys.exit(harness.SKIPPED)
    Setting.bin = os.path.abspath(options.binaries)
    instance = Instance(enforcement=options.enforcement, options=['--log-level=notice']).start()
    try:
        wrong = judge(run_suite(instance, options.groups, options.scale), options.enforcement)
        # Cgroups that had processes when their namespace died are looked at again from time to time.
        harness.wait_until(lambda: not instance.files('cgroups'), 'end of the last cgroups')
        if instance.pid is None or instance.stop(signal.SIGTERM) != 0:
            wrong.append('the service did not live to the end, or ended with failure')
        wrong += ['left behind: ' + what for what in instance.leftovers()]
        wrong += ['in the log: ' + sign for sign in harness.SIGNS_OF_BUGS if sign in instance.text()]
        if wrong:
            print('\n'.join(['', 'Wrong:', *wrong, '', 'The end of the log:', instance.text()[-3000:]]))
        sys.exit(1 if wrong else 0)
    finally:
        if instance.pid is not None:
            instance.kill()
        shutil.rmtree(instance.scratch, ignore_errors=True)


if __name__ == '__main__':
    main()
