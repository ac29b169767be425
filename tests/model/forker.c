// SPDX-License-Identifier: LGPL-2.1-or-later
// Makes namespaces and holds processes for the model test. A process of its own, so that what it forks has none of the
// test's descriptors and keeps no namespace alive; and not a Python one, since that takes ten times as long to fork.
//
// forker SOCKET: a socket of type SOCK_SEQPACKET. Requests are lines of words, with descriptors; so are the answers:
//   userns UID MAPPED STAYS [parent]   -> PID, the namespace; MAPPED: the id that root of it is, -1 for none
//   netns [user namespace]             -> 0, the namespace
//   maps [user namespace]              -> both maps, in the ids of the host
//   process FILE                       -> PID of a process whose id was written to the file
//   end PID                            -> 0
// or "!" and what has failed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kTextSize = 8192 };

static void send_message(int socket, const char* text, int fd) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = (void*)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr* header = CMSG_FIRSTHDR(&message);
        *header =
            (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) _exit(1);
}

// Gives the length of the text, 0 at the end; *fd is -1 if none came.
static ssize_t receive_message(int socket, char* text, int* fd) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = text, .iov_len = kTextSize - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    *fd = -1;
    if (length <= 0) return 0;
    text[length] = 0;
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header) memcpy(fd, CMSG_DATA(header), sizeof(int));
    return length;
}

// In a child: the failure is its answer.
static int answers;

static void need(int result, const char* what) {
    if (result >= 0) return;
    char text[200];
    snprintf(text, sizeof(text), "! %s: %s", what, strerror(errno));
    send_message(answers, text, -1);
    _exit(1);
}

static void join(int userns) {
    need(setns(userns, CLONE_NEWUSER), "setns");
    // A namespace without maps has no root.
    if (setgroups(0, NULL) < 0 && errno != EPERM && errno != EINVAL) need(-1, "setgroups");
    if (setresgid(0, 0, 0) < 0 && errno != EINVAL) need(-1, "setresgid");
    if (setresuid(0, 0, 0) < 0 && errno != EINVAL) need(-1, "setresuid");
}

static void answer_file(const char* path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    need(fd, path);
    send_message(answers, "0", fd);
}

static void make_userns(unsigned uid, int parent) {
    if (parent >= 0) {
        join(parent);
    } else {
        need(setresgid(uid, uid, uid), "setresgid");
        need(setresuid(uid, uid, uid), "setresuid");
    }
    need(unshare(CLONE_NEWUSER), "unshare");
    need(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    answer_file("/proc/self/ns/user");
}

static void make_netns(int userns) {
    join(userns);
    need(unshare(CLONE_NEWNET), "unshare");
    answer_file("/proc/self/ns/net");
}

// The maps are the parent's to read: for a process in the namespace itself other ids stand there.
static void show_maps(int userns) {
    need(setns(userns, CLONE_NEWUSER), "setns");
    send_message(answers, "0", -1);
    char byte;
    while (read(answers, &byte, 1) < 0 && errno == EINTR) {
    }
}

static int read_maps(pid_t pid, char* text) {
    const char* const names[] = {"uid_map", "gid_map"};
    size_t used = 0;
    for (int i = 0; i < 2; ++i) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/%s", pid, names[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return -1;
        ssize_t length = read(fd, text + used, kTextSize - used - 2);
        close(fd);
        if (length < 0) return -1;
        used += (size_t)length;
        text[used++] = '/';
    }
    text[used] = 0;
    return 0;
}

static int write_file(const char* path, const char* text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t written = write(fd, text, strlen(text));
    close(fd);
    return written < 0 ? -1 : 0;
}

static int write_maps(pid_t pid, int mapped) {
    char path[64], line[64];
    snprintf(line, sizeof(line), "0 %d 1\n", mapped);
    snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    if (write_file(path, line) < 0) return -1;
    snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
    return write_file(path, line);
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// Does the work of a child, which ends then or, with `stays`, waits to be ended.
static void run_child(const char* what, unsigned uid, int fd, int stays) {
    if (strcmp(what, "userns") == 0)
        make_userns(uid, fd);
    else if (strcmp(what, "netns") == 0)
        make_netns(fd);
    else if (strcmp(what, "maps") == 0)
        show_maps(fd);
    else
        send_message(answers, "0", -1);
    if (!stays) _exit(0);
    close_range(0, ~0U, 0);
    while (1) pause();
}

static void serve(int socket, char* request, int fd) {
    char what[16] = "", path[4096] = "";
    unsigned uid = 0;
    int mapped = -1, stays = 0;
    sscanf(request, "%15s", what);
    if (strcmp(what, "end") == 0) {
        end(atoi(request + 4));
        return send_message(socket, "0", -1);
    }
    int is_process = sscanf(request, "process %4095s", path) == 1;
    sscanf(request, "userns %u %d %d", &uid, &mapped, &stays);

    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return send_message(socket, "! socketpair", -1);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        answers = pair[1];
        close(pair[0]);
        run_child(what, uid, fd, stays || is_process || mapped >= 0);
    }
    close(pair[1]);
    char answer[kTextSize] = "! fork";
    int given = -1;
    if (pid > 0 && receive_message(pair[0], answer, &given) == 0) strcpy(answer, "! no answer");
    int is_maps = strcmp(what, "maps") == 0;
    if (answer[0] == '0' && is_maps && read_maps(pid, answer) < 0) strcpy(answer, "! cannot read the maps");
    close(pair[0]);
    if (answer[0] == '0' && !is_maps && mapped >= 0 && write_maps(pid, mapped) < 0) strcpy(answer, "! maps");
    if (answer[0] == '0' && is_process) {
        snprintf(answer, sizeof(answer), "%d", pid);
        if (write_file(path, answer) < 0) strcpy(answer, "! cannot write to the file");
    }
    if (answer[0] == '0' && !is_maps && stays) snprintf(answer, sizeof(answer), "%d", pid);
    int keep = (stays || is_process) && answer[0] != '!';
    if (pid > 0 && !keep) {
        if (mapped >= 0 || stays || is_process) kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);  // before anybody takes its namespace for ownerless
    }
    send_message(socket, answer, given);
    if (given >= 0) close(given);
}

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    int socket = atoi(argv[1]), fd;
    char request[kTextSize];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (receive_message(socket, request, &fd) > 0) {
        serve(socket, request, fd);
        if (fd >= 0) close(fd);
    }
    return 0;
}
