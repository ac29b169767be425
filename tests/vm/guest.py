# SPDX-License-Identifier: LGPL-2.1-or-later
"""Process 1 of the virtual machine: mounts what a system has, runs the command of the job, tells its exit status. Or it
becomes systemd first."""
import ctypes, glob, json, os, resource, shutil, stat, subprocess, sys, termios, traceback

LIBC = ctypes.CDLL(None, use_errno=True)
RB_POWER_OFF = 0x4321fedc
MS_BIND = 4096
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', 'TERM': 'dumb',
               'PYTHONDONTWRITEBYTECODE': '1'}
# type, place, options
MOUNTS = (('proc', '/proc', ''), ('sysfs', '/sys', ''), ('devpts', '/dev/pts', 'mode=620,ptmxmode=666'),
          ('tmpfs', '/dev/shm', 'mode=1777'), ('mqueue', '/dev/mqueue', ''), ('tmpfs', '/run', 'mode=755'),
          ('cgroup2', '/sys/fs/cgroup', ''), ('bpf', '/sys/fs/bpf', 'mode=700'),
          ('securityfs', '/sys/kernel/security', ''), ('tracefs', '/sys/kernel/tracing', ''))

# What opens these loads the module; the device manager of a system makes them, before anything is loaded.
DEVICES = (('/dev/net/tun', 10, 200), ('/dev/loop-control', 10, 237), ('/dev/fuse', 10, 229))

# Neither logins, clocks, networks nor devices.
MASKED = ('systemd-firstboot', 'systemd-udevd', 'systemd-networkd', 'systemd-resolved', 'systemd-timesyncd',
          'systemd-logind', 'systemd-sysctl')
UNITS = {
    'vm-job.target': '[Unit]\nRequires=basic.target\nWants=vm-job.service\n',
    'vm-job.service': '[Unit]\nAfter=basic.target\n'
                      '[Service]\nType=oneshot\nExecStart=/usr/bin/python3 -I %(program)s /run/job run\n',
}


def mount(source, place, kind, options='', flags=0):
    os.makedirs(place, exist_ok=True)
    if LIBC.mount(source.encode(), place.encode(), kind.encode(), flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), 'mounting %s' % place)


def hide(place, shown):
    """Puts memory over `place`; of what was there the directories `shown` are still to be seen."""
    kept = [(path, os.open(path, os.O_PATH)) for path in shown]
    mount('tmpfs', place, 'tmpfs', 'mode=1777')
    for path, directory in kept:
        mount('/proc/self/fd/%d' % directory, path, '', flags=MS_BIND)
        os.close(directory)


def serial(number):
    """A serial port that passes on each byte as it is."""
    port = os.open('/dev/ttyS%d' % number, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    mode = termios.tcgetattr(port)
    mode[1] &= ~termios.OPOST
    mode[2] |= termios.CLOCAL
    termios.tcsetattr(port, termios.TCSANOW, mode)
    return port


def prepare(job):
    for kind, place, options in MOUNTS:
        mount(kind, place, kind, options)
    for name, target in (('fd', '/proc/self/fd'), ('stdin', 'fd/0'), ('stdout', 'fd/1'), ('stderr', 'fd/2')):
        os.symlink(target, '/dev/' + name)
    for path, major, minor in DEVICES:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
    mount(job['modules'], '/usr/lib/modules/' + os.uname().release, '', flags=MS_BIND)
    hide('/tmp', job['shares'])
    hide('/var/tmp', [])
    run('ip', 'link', 'set', 'lo', 'up')
    with open('/proc/sys/kernel/hostname', 'w') as file:
        file.write('vm')
    for device, kind in (('/dev/vda', 'ext4'), ('/dev/vdb', 'btrfs')) if job['disks'] else ():
        run('modprobe', '-a', 'virtio_blk', kind)
        mount(device, '/mnt/' + kind, kind)


def run(*command):
    subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=True)


def become_systemd(job):
    """Goes on as systemd, which starts this program once more when the system is up."""
    with open('/run/job', 'w') as file:
        json.dump(job, file)
    calm_down()
    run('cmake', '--install', job['install'])
    for name, text in UNITS.items():
        with open('/etc/systemd/system/' + name, 'w') as file:
            file.write(text % dict(program=os.path.abspath(__file__)))
    with open('/etc/nsresourced.conf', 'w') as file:
        file.write('[NamespaceResource]\nEnforcement=%s\n' % job['level'])
    run('systemctl', '--quiet', 'enable', 'nsresourced.service')
    os.execve('/lib/systemd/systemd', ['systemd', '--system', '--unit=vm-job.target', '--show-status=no',
                                       '--log-target=journal'], ENVIRONMENT)


def calm_down():
    """Of what this machine has, only what the test is about is to run."""
    for directory in glob.glob('/etc/systemd/system/*.wants'):
        shutil.rmtree(directory)
    for name in MASKED:
        path = '/etc/systemd/system/%s.service' % name
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink('/dev/null', path)
    for path, text in (('/etc/fstab', ''), ('/etc/machine-id', 'uninitialized\n')):
        with open(path, 'w') as file:
            file.write(text)


def run_to_the_end(job, port):
    """The command's exit status. As process 1 this one also waits for everybody whose parent is gone."""
    child = subprocess.Popen(job['command'], cwd=job['directory'], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                             stdout=port, stderr=port, start_new_session=True)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def tell(port, text):
    os.write(port, text.encode() + b'\n')
    termios.tcdrain(port)


def main():
    os.environ.update(ENVIRONMENT)
    with open(sys.argv[1]) as file:
        job = json.load(file)
    if sys.argv[2:] != ['run']:
        prepare(job)
        if job['install']:
            become_systemd(job)
    run_job(job)


def run_job(job):
    # As much as a service manager lets a service have. Descriptors that are on their way in messages count as well.
    resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
    output, status = serial(1), serial(2)
    tell(status, 'begin')
    code = run_to_the_end(job, output)
    termios.tcdrain(output)
    tell(status, 'exit %d' % code)


if __name__ == '__main__':
    try:
        main()
    except BaseException:
        traceback.print_exc()
    os.sync()
    LIBC.reboot(RB_POWER_OFF)
