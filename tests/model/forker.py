# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test's side of forker.c."""
import os, socket, subprocess

from nslib import recv_fds, send_fds

HERE = os.path.dirname(os.path.abspath(__file__))
LARGEST = 8192


def build(path):
    subprocess.run(['cc', '-O1', '-Wall', '-Wextra', '-Werror', '-o', path, os.path.join(HERE, 'forker.c')], check=True)


class Forker:
    def __init__(self, program):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.program = subprocess.Popen([program, str(other.fileno())], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL)
        other.close()

    def ask(self, *words, fd=None):
        """Gives the answer and its descriptors."""
        send_fds(self.socket, ' '.join(map(str, words)).encode(), [] if fd is None else [fd])
        data, fds = recv_fds(self.socket, LARGEST)
        answer = data.decode()
        if answer[:1] in ('', '!'):
            raise AssertionError('%s: %s' % (words[0], answer[1:]))
        return answer, fds

    def user_namespace(self, uid, parent=None, mapped=None, stays=False):
        """A descriptor of a fresh one, and the id of a process in it with `stays`."""
        answer, fds = self.ask('userns', uid, -1 if mapped is None else mapped, int(stays), fd=parent)
        return fds[0], int(answer)

    def network_namespace(self, userns):
        return self.ask('netns', fd=userns)[1][0]

    def maps(self, userns):
        """Those of uids and of gids, in the ids of the host."""
        uids, gids, _ = self.ask('maps', fd=userns)[0].split('/')
        return tuple([tuple(map(int, line.split())) for line in text.splitlines()] for text in (uids, gids))

    def process(self, cgroup):
        """The id of one in the cgroup."""
        return int(self.ask('process', cgroup + '/cgroup.procs')[0])

    def end(self, pid):
        self.ask('end', pid)

    def close(self):
        self.socket.close()
        self.program.wait()
