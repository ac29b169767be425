# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small process that makes namespaces and holds processes: it has none of the descriptors of the test, so that nothing
that it forks keeps a namespace alive, and forks in a fraction of the time."""
import contextlib, json, os, signal, socket

from nslib import CLONE_NEWNET, CLONE_NEWUSER, become, close_but, pdeathsig, recv_fds, send_fds, setns, unshare, wr

LARGEST = 1 << 16


class Forker:
    def __init__(self):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                pdeathsig()
                close_but(other.fileno())
                serve(other)
            finally:
                os._exit(1)
        other.close()

    def ask(self, what, fds=(), **more):
        """Gives the answer and its descriptors."""
        send_fds(self.socket, json.dumps(dict(more, what=what)).encode(), list(fds))
        data, fds = recv_fds(self.socket, LARGEST)
        answer = json.loads(data)
        if 'failed' in answer:
            raise AssertionError('%s: %s' % (what, answer['failed']))
        return answer, fds

    def user_namespace(self, uid, parent=None, mapped=(), stays=False):
        """A descriptor of a fresh one; with `stays` also the id of a process in it."""
        answer, fds = self.ask('userns', [] if parent is None else [parent], uid=uid, mapped=mapped, stays=stays)
        return fds[0], answer.get('pid')

    def network_namespace(self, userns):
        return self.ask('netns', [userns])[1][0]

    def maps(self, userns):
        answer, _ = self.ask('maps', [userns])
        return [tuple(line) for line in answer['uids']], [tuple(line) for line in answer['gids']]

    def process(self, cgroup):
        """The id of one in the cgroup."""
        return self.ask('process', cgroup=cgroup)[0]['pid']

    def end(self, pid):
        self.ask('end', pid=pid)

    def close(self):
        self.socket.close()
        os.waitpid(self.pid, 0)


def serve(control):
    while True:
        data, fds = recv_fds(control, LARGEST)
        if not data:
            return
        request, given = json.loads(data), []
        try:
            answer = HANDLERS[request['what']](request, fds, given)
        except Exception as error:
            answer = {'failed': repr(error)}
        send_fds(control, json.dumps(answer).encode(), given)
        for fd in fds + given:
            os.close(fd)


class Child:
    """A process that has run `prepare`, and waits for its end."""

    def __init__(self, prepare):
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            said = b'?'
            try:
                pdeathsig()
                os.close(read)
                try:
                    prepare()
                    said = b'y'
                except OSError as error:
                    said = str(error).encode()
                os.write(write, said)
                close_but(-1)
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        os.close(write)
        said = os.read(read, 200)
        os.close(read)
        if said != b'y':
            self.end()
            raise OSError(said.decode() or 'ended')

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    @contextlib.contextmanager
    def for_now(self):
        try:
            yield self
        finally:
            self.end()

    def file(self, name):
        return '/proc/%d/%s' % (self.pid, name)


STAYING = {}


def root_inside():
    with contextlib.suppress(OSError):
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def make_userns(request, fds, given):
    def prepare():
        if fds:
            setns(fds[0], CLONE_NEWUSER)
            root_inside()
        elif request['uid']:
            become(request['uid'])
        unshare(CLONE_NEWUSER)
        pdeathsig()
    child = Child(prepare)
    try:
        if request['mapped']:
            for name in ('uid_map', 'gid_map'):
                wr(child.file(name), '%d %d %d\n' % tuple(request['mapped']))
        given.append(os.open(child.file('ns/user'), os.O_RDONLY | os.O_CLOEXEC))
        if request['stays']:
            STAYING[child.pid] = child
            return {'pid': child.pid}
    finally:
        if child.pid not in STAYING:
            child.end()
    return {}


def make_netns(request, fds, given):
    def prepare():
        setns(fds[0], CLONE_NEWUSER)
        with contextlib.suppress(OSError):
            root_inside()
        unshare(CLONE_NEWNET)
    with Child(prepare).for_now() as child:
        given.append(os.open(child.file('ns/net'), os.O_RDONLY | os.O_CLOEXEC))
    return {}


def read_maps(request, fds, given):
    def lines(path):
        with open(path) as file:
            return [[int(word) for word in line.split()] for line in file]
    with Child(lambda: setns(fds[0], CLONE_NEWUSER)).for_now() as child:
        return {'uids': lines(child.file('uid_map')), 'gids': lines(child.file('gid_map'))}


def make_process(request, fds, given):
    child = Child(lambda: None)
    STAYING[child.pid] = child
    wr(request['cgroup'] + '/cgroup.procs', str(child.pid))
    return {'pid': child.pid}


def end_process(request, fds, given):
    STAYING.pop(request['pid']).end()
    return {}


HANDLERS = dict(userns=make_userns, netns=make_netns, maps=read_maps, process=make_process, end=end_process)
