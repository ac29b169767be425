// SPDX-License-Identifier: LGPL-2.1-or-later
// connector SOCKET COUNT: makes so many connections with its effective ids, sends a long half message on each, and
// waits for its end. Tests run a set-user-ID copy of it.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char** argv) {
    static char half[5000];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
    // What a program with other ids inherits is not this.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return 1;
    strcpy(address.sun_path, argv[1]);
    memset(half, ' ', sizeof half);
    half[0] = '{';
    for (int i = atoi(argv[2]); i > 0; i--) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) < 0) return 1;
        if (send(fd, half, sizeof half, MSG_NOSIGNAL) < 0) return 1;
    }
    if (write(STDOUT_FILENO, "x", 1) != 1) return 1;
    for (;;) pause();
}
