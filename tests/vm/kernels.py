# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock kernels of Debian, fetched once and unpacked, never installed."""
import glob, os, re, shutil, subprocess

# The suites that may have the kernel; the highest version in them is taken.
SUITES = {'6.1': ['bookworm'], '6.12': ['bookworm-backports'], 'newest': ['sid', 'trixie-backports']}
META_PACKAGE = 'linux-image-amd64'
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
# One kernel may come in several packages.
PARTS = re.compile(r'linux-(image|binary|modules|base)-\d')


class Unavailable(Exception):
    """A sentence for the user."""


class Kernel:
    """One that is unpacked: `image`, and its modules below `root`/lib/modules/`release`."""

    def __init__(self, root):
        self.root = root
        self.image = os.path.join(root, 'vmlinuz')
        self.release, = os.listdir(os.path.join(root, 'lib/modules'))
        self.modules = os.path.join(root, 'lib/modules', self.release)


def run(*command, **options):
    """Its output. What it says on failure goes into the exception."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise Unavailable('%s failed: %s' % (' '.join(command[:3]), (done.stderr or done.stdout).strip()[-600:]))
    return done.stdout


def mirror():
    """The mirror of Debian that this machine uses."""
    sites = run('apt-get', 'indextargets', '--format', '$(SITE)', 'Created-By: Packages', 'Origin: Debian',
                'Label: Debian').split()
    if not sites:
        raise Unavailable('apt knows no mirror of Debian here; "apt-get update" may help')
    return sites[0]


class PrivateApt:
    """apt with sources and state of its own, so that the machine's are left alone."""

    def __init__(self, directory, suites):
        self.directory = directory
        for name in ('lists/partial', 'cache/archives/partial', 'none', 'debs'):
            os.makedirs(self.path(name), exist_ok=True)
        self.write('status', '')
        self.write('sources', ''.join('deb [signed-by=%s] %s %s main\n' % (KEYRING, mirror(), suite) for suite in suites))
        # Backports count less than other suites unless told otherwise.
        self.write('preferences', 'Package: *\nPin: release *\nPin-Priority: 500\n')
        # Some mirrors stand still; an old kernel with a good signature is still a stock kernel.
        self.write('conf', '''
            Dir::State "{0}"; Dir::State::status "{0}/status"; Dir::Cache "{0}/cache";
            Dir::Etc::sourcelist "{0}/sources"; Dir::Etc::sourceparts "{0}/none"; Dir::Etc::preferences "{0}/preferences";
            Dir::Etc::preferencesparts "{0}/none";
            Acquire::Languages "none"; Acquire::Check-Valid-Until "false"; Acquire::Retries "2";
            Acquire::http::Timeout "30"; APT::Sandbox::User "root"; APT::Architecture "amd64";
            '''.format(directory))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as file:
            file.write(text)

    def run(self, *command):
        return run(*command, env=dict(os.environ, APT_CONFIG=self.path('conf')), cwd=self.path('debs'))

    def parts(self, package):
        """The packages that a kernel's package consists of."""
        found, waiting = [], [package]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.append(name)
            shown = self.run('apt-cache', 'show', '--no-all-versions', name)
            depends = re.search(r'^Depends: (.*)$', shown, re.M)
            waiting += [word for word in re.split(r'[ ,|]+', depends[1] if depends else '') if PARTS.match(word)]
        return [name for name in found if PARTS.match(name)]

    def download(self):
        self.run('apt-get', 'update', '-q')
        self.run('apt-get', 'download', '-q', *self.parts(META_PACKAGE))
        return glob.glob(self.path('debs/*.deb'))


def unpack(packages, root):
    """Puts image and modules where Kernel expects them; packages differ in where they have them."""
    raw = root + '.raw'
    for package in packages:
        run('dpkg-deb', '-x', package, raw)
    image, = glob.glob(raw + '/boot/vmlinuz-*') + glob.glob(raw + '/usr/lib/modules/*/vmlinuz')
    modules, = glob.glob(raw + '/lib/modules/*') + glob.glob(raw + '/usr/lib/modules/*')
    os.makedirs(root + '/lib/modules')
    shutil.move(image, root + '/vmlinuz')
    shutil.move(modules, root + '/lib/modules/')
    run('depmod', '-b', root, os.path.basename(modules))
    shutil.rmtree(raw)


def fetch(name, cache):
    """The kernel `name` of SUITES, from the directory `cache`, or from the mirror if it is not there yet."""
    final = os.path.join(cache, name)
    if not os.path.exists(final):
        new = final + '.new'
        for left in (new, new + '.raw'):
            shutil.rmtree(left, ignore_errors=True)
        scratch = final + '.apt'
        try:
            packages = PrivateApt(scratch, SUITES[name]).download()
            unpack(packages, new)
        except Unavailable as error:
            raise Unavailable('the kernel %s is neither in %s nor to be had: %s' % (name, cache, error)) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        os.rename(new, final)
    return Kernel(final)
