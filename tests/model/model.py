#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random calls of several users, deaths, restarts, kills and full disks, against a model of the interface. Stops at the
first difference, and looks for a shorter sequence that shows it."""
import argparse, json, os, signal, sys, tempfile, time, traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[1:1] = [os.path.join(os.path.dirname(HERE), name) for name in ('system', 'conformance', 'torture')]

import forker  # noqa: E402
import harness  # noqa: E402
from calls import Difference  # noqa: E402
from generator import sequence  # noqa: E402
from trial import Trial  # noqa: E402
from shrink import shrink  # noqa: E402

DIFFERENT = 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binaries', help='directory of the binaries')
    parser.add_argument('--steps', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=int(time.time()) // 86400, help='by default one of the day')
    parser.add_argument('--level', choices=('none', 'quarantine'), default='none')
    parser.add_argument('--replay', metavar='FILE', help='the steps of a file, one a line, instead of random ones')
    parser.add_argument('--shrink', type=int, default=120, metavar='SECONDS', help='how long to look for a shorter sequence')
    parser.add_argument('--forker', help=argparse.SUPPRESS)
    parser.add_argument('--verbose', action='store_true')
    return parser.parse_args()


def read_steps(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip() and not line.startswith('#')]


def attempt(options, steps):
    """Gives the text of the difference and how many steps there were until then; None if there is none."""
    run = None
    begin = time.monotonic()
    try:
        run = Trial(os.path.abspath(options.binaries), options.forker, options.level)
        run.execute(steps)
    except (Exception, KeyboardInterrupt) as error:
        text = str(error) if isinstance(error, Difference) else '%s: %s' % (type(error).__name__, error)
        if not isinstance(error, Difference):
            traceback.print_exc()
        if run:
            print('The log:\n' + run.world.service.text()[-3000:])
        return text, run.done if run else 0
    finally:
        if run:
            run.world.close()
    passed = time.monotonic() - begin
    print('%d steps in %.1f s, %.0f a second; the longest wait for a release was %.2f s' % (
        len(steps), passed, len(steps) / passed, run.slow))
    if options.verbose:
        print(', '.join('%s %.2f' % pair for pair in run.spent.most_common()))
        print(', '.join('%s %d' % pair for pair in run.counts.most_common()))
    return None


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by a signal'))  # and cleans up
    if os.geteuid() != 0:
        print('skipped: only root can run the service')
        sys.exit(harness.SKIPPED)
    with tempfile.TemporaryDirectory(prefix='nsr-model.') as place:
        if not options.forker:
            options.forker = os.path.join(place, 'forker')
            forker.build(options.forker)
        sys.exit(DIFFERENT if differs(options) else 0)


def differs(options):
    steps = read_steps(options.replay) if options.replay else sequence(options.seed, options.steps)
    print('model: %s, level %s, %d steps' % (
        'replay of ' + options.replay if options.replay else 'seed %d' % options.seed, options.level, len(steps)), flush=True)
    found = attempt(options, steps)
    if not found:
        return False
    text, done = found
    print('DIFFERENCE at step %d: %s\n  %s' % (done, text, json.dumps(steps[done]) if done < len(steps) else 'the end'), flush=True)
    if options.shrink:
        shrink(options, steps[:done + 1], text)
    return True


if __name__ == '__main__':
    main()
