# SPDX-License-Identifier: LGPL-2.1-or-later
"""One virtual machine, in software emulation, from its start to its end."""
import json, os, re, shutil, subprocess, sys, tempfile, threading

import initramfs, kernels

HERE = os.path.dirname(os.path.abspath(__file__))
QEMU = 'qemu-system-x86_64'
NEVER_ENDED = 125
TIMED_OUT = 124
KERNEL_COMPLAINED = 123
KERNEL_BUG = re.compile(r'\bBUG: |\bWARNING: (CPU|at|\S+:)|\bOops\b')
# With a thread for each processor the emulator does not notice at once that another processor has exchanged code, which
# is how programs are attached to functions: some kernels then die of a breakpoint that is no longer there.
SINGLE_THREAD = ('6.12', 'newest')


def emulation(name):
    threads = 'single' if name in SINGLE_THREAD else 'multi'
    return ['-accel', 'tcg,thread=%s,tb-size=512' % threads, '-cpu', 'max,la57=off', '-smp', '2', '-m', '2560']


class Machine:
    """`install`: a build that is to be installed in it, and then started by systemd, with enforcement `level`."""

    def __init__(self, name, kernel, cache, lsm=None, disks=False, install=None, level=None):
        self.name, self.kernel, self.cache, self.lsm, self.disks = name, kernel, cache, lsm, disks
        self.install, self.level = install, level

    def command_line(self, job):
        words = ['console=ttyS0', 'loglevel=5', 'panic=-1', 'oops=panic', 'mitigations=off', 'no_timer_check',
                 'rdinit=/init']
        if self.lsm:
            words.append('lsm=' + self.lsm)
        return ' '.join([*words, '--', '/usr/bin/python3', '-I', os.path.join(HERE, 'guest.py'), job])

    def qemu(self, scratch):
        """The command. Serial ports: the kernel's log, what the command writes, what becomes of it."""
        path = lambda name: os.path.join(scratch, name)
        options = [QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', 'pc']
        options += emulation(self.name)
        options += ['-kernel', self.kernel.image, '-initrd', path('initramfs'), '-append', self.command_line(path('job'))]
        options += ['-chardev', 'stdio,id=out,signal=off', '-serial', 'file:' + path('kernel.log'),
                    '-serial', 'chardev:out', '-serial', 'file:' + path('status')]
        options += ['-fsdev', 'local,id=host,path=/,security_model=passthrough,readonly=on,multidevs=remap',
                    '-device', 'virtio-9p-pci,fsdev=host,mount_tag=host', '-device', 'virtio-rng-pci']
        for name in ('ext4', 'btrfs') if self.disks else ():
            options += ['-drive', 'if=virtio,format=raw,cache=unsafe,file=' + path(name)]
        return options

    def prepare(self, scratch, command, shares):
        initramfs.build(self.kernel, self.cache, os.path.join(scratch, 'initramfs'))
        job = dict(command=command, directory=os.getcwd(), shares=shares, modules=self.kernel.modules, disks=self.disks,
                   install=self.install, level=self.level)
        with open(os.path.join(scratch, 'job'), 'w') as file:
            json.dump(job, file)
        for name in ('ext4', 'btrfs') if self.disks else ():
            self.make_disk(os.path.join(scratch, name), name)

    def make_disk(self, path, kind):
        with open(path, 'w') as file:
            file.truncate(1 << 30)
        kernels.run('mkfs.' + kind, '-q', path)

    def run(self, command, timeout, shares=(), output=None):
        """Boots, runs `command`, and gives its exit status. What it writes goes to `output`, by the line."""
        scratch = tempfile.mkdtemp(prefix='nsr-vm.')
        try:
            self.prepare(scratch, command, list(shares))
            timed_out = self.run_qemu(scratch, timeout, output or sys.stdout.buffer)
            return self.judge(scratch, timed_out)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def run_qemu(self, scratch, timeout, output):
        # Whatever happens to this process, the machine does not outlive it.
        command = ['setpriv', '--pdeathsig', 'KILL', '--', *self.qemu(scratch)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
            timed_out = threading.Event()
            timer = threading.Timer(timeout, lambda: (timed_out.set(), machine.kill()))
            timer.start()
            try:
                for line in machine.stdout:
                    output.write(line)
                    output.flush()
            finally:
                timer.cancel()
                machine.kill() if sys.exc_info()[0] else None
                machine.wait()
        return timed_out.is_set()

    def judge(self, scratch, timed_out):
        words, log = read(os.path.join(scratch, 'status')).split(), read(os.path.join(scratch, 'kernel.log'))
        bugs = [line for line in log.split('\n') if KERNEL_BUG.search(line)]
        if bugs:
            print('\n'.join(['vm: the kernel complained:', *bugs[:20]]), file=sys.stderr)
        if 'exit' in words and not timed_out:
            return int(words[words.index('exit') + 1]) or (KERNEL_COMPLAINED if bugs else 0)
        what = 'took too long' if timed_out else 'ended before the command did'
        begun = 'the command had begun' if 'begin' in words else 'the command had not begun'
        print('vm: the machine %s (%s); the end of the kernel\'s log:' % (what, begun), file=sys.stderr)
        print(log[-6000:], file=sys.stderr)
        return TIMED_OUT if timed_out else NEVER_ENDED


def read(path):
    with open(path, errors='replace') as file:
        return file.read()
