#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service under faults: at each system call of worker, manager and their helpers, in every method, in release,
repair, start, stop and refill, they are killed, or the call fails with what it can fail with; then invariants.py looks
at what is there. There are more cases than anyone has time for: they come in an order that the seed gives, until the
minutes are over."""
import argparse, collections, os, pickle, signal, sys, time, traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for room in ('conformance', 'system'):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), room))
import nslib  # noqa: E402
from harness import SKIPPED, Setting  # noqa: E402
from plan import Case, Plan, Untraceable  # noqa: E402
from rig import Rig, isolate  # noqa: E402

# At the level quarantine ranges run out, and logs grow.
CASES_OF_A_RIG = 400


class Tally:
    """What became of the cases of one job."""

    def __init__(self):
        self.kinds, self.missed, self.failures = collections.Counter(), 0, []

    def add(self, other):
        self.kinds += other.kinds
        self.missed += other.missed
        self.failures += other.failures


class Job:
    """One process with an instance of its own, which takes every so manyth case of the plan of its level."""

    def __init__(self, options, level, share, shares, end):
        self.options, self.level, self.share, self.shares, self.end = options, level, share, shares, end
        self.rig, self.tally = None, Tally()

    def run(self):
        isolate(self.level)
        try:
            self.sweep() if not self.options.case else self.repeat_cases()
        finally:
            if self.rig:
                self.rig.close()
        return self.tally

    def ready(self):
        if self.rig and (self.rig.cases >= CASES_OF_A_RIG or not self.rig.runs()):
            self.drop()
        if not self.rig:
            self.rig = Rig(self.options.binaries + '/nsresource-injector', self.level, self.options.service)
            try:
                self.rig.start()
            except AssertionError as error:
                raise Untraceable(self.level + '/start', [str(error)])
        return self.rig

    def drop(self):
        nslib.reap_children()
        nslib.CHILDREN.clear()
        self.rig.close()
        self.rig = None

    def sweep(self):
        plan = Plan(self.level, self.options.seed, self.options.only, self.share, self.shares,
                    self.options.kills)
        while time.monotonic() < self.end:
            try:
                case = plan.next(self.ready())
            except Untraceable as error:
                self.fail(*error.args)
                continue
            if case is None:
                return
            self.carry_out(case)

    def fail(self, name, problems):
        self.tally.failures.append((name, problems))
        self.drop()

    def repeat_cases(self):
        for name in self.options.case:
            if name.startswith(self.level + '/'):
                self.carry_out(Case(name))

    def carry_out(self, case):
        rig = self.ready()
        rig.cases += 1
        rig.mark()
        try:
            result = case.run(rig)
            problems, hits, outcome = result.problems, result.hits, result.outcome
            problems = problems + rig.bug_problems()
        except Exception as error:
            problems, hits, outcome = ['%s: %s' % (type(error).__name__, error)], [], traceback.format_exc(limit=-4)
        self.tally.kinds[case.kind] += 1
        if hasattr(case.fault, 'role') and not hits:
            self.tally.missed += 1
        if self.options.verbose or problems:
            tell(case, hits, outcome, problems, rig.said() if problems else '')
        if problems:
            self.fail(case.name, problems)


def tell(case, hits, outcome, problems, log):
    lines = ['%s %s' % ('FAILED' if problems else 'passed', case.name)]
    met = ', '.join('%s %s in %s' % (word, call, role) for word, _, call, role in hits)
    lines.append('    %s; answer: %s' % (met or 'nothing was hit', outcome))
    lines += ['    ' + problem for problem in problems]
    lines += ['    | ' + line for line in log.strip().split('\n')[-12:]] if log else []
    os.write(1, ('\n'.join(lines) + '\n').encode())


def start_job(job):
    """Process id and the reading end of a pipe with its tally."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    code = 1
    try:
        os.close(reader)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        tally = job.run()
        with os.fdopen(writer, 'wb') as file:
            pickle.dump(tally, file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def collect(jobs):
    total, broken = Tally(), 0
    for pid, reader in jobs:
        with os.fdopen(reader, 'rb') as file:
            data = file.read()
        broken += os.waitpid(pid, 0)[1] != 0
        if data:
            total.add(pickle.loads(data))
    return total, broken


def report(options, total, broken, seconds):
    print('\ntorture: seed %s, levels %s, %.0f s' % (options.seed, ' '.join(options.levels), seconds))
    for kind, count in sorted(total.kinds.items()):
        print('  %6d  %s' % (count, kind))
    print('  %6d  in all; in %d the call was not reached' % (sum(total.kinds.values()), total.missed))
    for name, problems in total.failures:
        print('FAILED %s\n    %s' % (name, problems[0]))
    print('%d failures%s' % (len(total.failures), ', %d jobs broke' % broken if broken else ''))
    if total.failures:
        print('To see one again: %s %s --case=NAME' % (sys.argv[0], options.binaries))
    return 1 if total.failures or broken or not total.kinds else 0


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binaries', help='directory of the release binaries')
    parser.add_argument('--service', help='directory of the service, if it is another one')
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--seed', default=None, help='default: by the time')
    parser.add_argument('--jobs', type=int, default=3 * os.cpu_count(), help='instances at a time')
    parser.add_argument('--levels', type=lambda text: text.split(','), default=['none', 'quarantine'])
    parser.add_argument('--only', default='', help='only groups PHASE/SUBJECT/ROLE that begin so')
    parser.add_argument('--kills', action='store_true', help='only kills, no errors and no full disks')
    parser.add_argument('--case', action='append', help='one case by its name; may be given several times')
    parser.add_argument('--verbose', action='store_true', help='tell of each case')
    options = parser.parse_args()
    options.binaries = os.path.abspath(options.binaries)
    options.service = os.path.abspath(options.service or options.binaries)
    options.seed = options.seed or str(int(time.time()))
    if options.case:
        options.levels, options.minutes = sorted({name.partition('/')[0] for name in options.case}), 60
        options.jobs = len(options.levels)
    return options


def make_jobs(options, end):
    """As many of each level, which share its groups of cases."""
    levels = len(options.levels)
    each = max(options.jobs // levels, 1)
    return [Job(options, options.levels[number % levels], number // levels, each, end) for number in range(each * levels)]


def why_not(options):
    if os.geteuid() != 0:
        return 'only root can run the service'
    if not os.access(options.binaries + '/nsresource-injector', os.X_OK):
        return 'no nsresource-injector for this machine'
    return None


def main():
    options = parse_options()
    reason = why_not(options)
    if reason:
        print('skipped: ' + reason)
        sys.exit(SKIPPED)
    print('torture: seed %s' % options.seed, flush=True)
    Setting.bin = options.service
    nslib.CFG['scale'] = 1.0
    begun = time.monotonic()
    total, broken = collect([start_job(job) for job in make_jobs(options, begun + 60 * options.minutes)])
    sys.exit(report(options, total, broken, time.monotonic() - begun))


if __name__ == '__main__':
    main()
