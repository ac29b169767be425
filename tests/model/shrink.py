# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes a sequence that shows a difference shorter: by leaving out steps, each time with a fresh instance."""
import json, os, re, subprocess, sys, tempfile, time

MOST_PRINTED = 60


def kind_of(text):
    """A difference without its numbers and names, so that another one is not taken for it."""
    return re.sub(r"[0-9]+|'[^']*'|\[[^]]*\]", '', text)[:60]


class Shrinking:
    def __init__(self, options, steps, text):
        self.options, self.steps, self.kind = options, steps, kind_of(text)
        self.end = time.monotonic() + options.shrink
        self.file = tempfile.NamedTemporaryFile('w+', prefix='nsr-model-steps.', suffix='.jsonl', delete=False)

    def in_time(self):
        return time.monotonic() < self.end

    def write(self, steps):
        self.file.seek(0)
        self.file.truncate()
        self.file.writelines(json.dumps(step) + '\n' for step in steps)
        self.file.flush()

    def fails(self, steps):
        self.write(steps)
        argv = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'model.py'), self.options.binaries,
                '--level=' + self.options.level, '--forker=' + self.options.forker, '--replay=' + self.file.name, '--shrink=0']
        output = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace').stdout
        said = re.search(r'^DIFFERENCE at step \d+: (.*)', output, re.M)
        return bool(said) and kind_of(said[1]) == self.kind

    def run(self):
        """Delta debugging: halves, quarters, and so on, down to single steps."""
        size = max(len(self.steps) // 2, 1)
        while self.in_time():
            before = len(self.steps)
            self.leave_out(size)
            if size == 1 and len(self.steps) == before:
                return
            size = max(size // 2, 1)

    def find_end(self):
        """The last steps alone may do, and are tried in no time."""
        for count in (20, 60, 180, 540):
            if count < len(self.steps) and self.fails(self.steps[-count:]):
                self.steps = self.steps[-count:]
                return True
        return False

    def leave_out(self, size):
        begin = len(self.steps)
        while begin > 0 and self.in_time():
            begin = max(begin - size, 0)
            shorter = self.steps[:begin] + self.steps[begin + size:]
            if shorter and self.fails(shorter):
                self.steps = shorter


def shrink(options, steps, text):
    shrinking = Shrinking(options, steps, text)
    if not shrinking.find_end() and not any(shrinking.fails(steps) for _ in range(3)):
        print('It did not happen again in three replays of the same steps.')
    else:
        shrinking.run()
    shrinking.write(shrinking.steps)
    print('%d of %d steps are left, in %s (for --replay):' % (len(shrinking.steps), len(steps), shrinking.file.name))
    if len(shrinking.steps) <= MOST_PRINTED:
        print('\n'.join(map(json.dumps, shrinking.steps)), flush=True)
