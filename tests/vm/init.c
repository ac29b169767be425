// SPDX-License-Identifier: LGPL-2.1-or-later
// The first program in the virtual machine: makes the host's files, with memory above them, its root, and goes on with
// the program that the kernel's command line names. The host's files cannot be written.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void must(int result, const char* what) {
    if (result >= 0) return;
    perror(what);
    exit(1);  // the kernel panics, and the machine ends
}

static void load_modules(void) {
    char name[128];
    FILE* list = fopen("/modules/list", "r");
    must(list ? 0 : -1, "/modules/list");
    while (fscanf(list, "%127s", name) == 1) {
        int file = open(name, O_RDONLY | O_CLOEXEC);
        must(file, name);
        must((int)syscall(SYS_finit_module, file, "", 0), name);
        close(file);
    }
    fclose(list);
}

static void mount_at(const char* source, const char* place, const char* type, const char* options) {
    must(mkdir(place, 0755), place);
    must(mount(source, place, type, 0, options), place);
}

int main(int argc, char** argv) {
    (void)argc;
    load_modules();
    mount_at("host", "/host", "9p", "ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144");
    mount_at("memory", "/memory", "tmpfs", "size=70%,mode=0755");
    must(mkdir("/memory/upper", 0755), "upper");
    must(mkdir("/memory/work", 0755), "work");
    mount_at("root", "/system", "overlay", "lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work");
    mount_at("dev", "/early-dev", "devtmpfs", "mode=0755");
    must(mount("/early-dev", "/system/dev", NULL, MS_MOVE, NULL), "dev");
    must(chdir("/system"), "system");
    must(mount(".", "/", NULL, MS_MOVE, NULL), "move");
    must(chroot("."), "chroot");
    must(chdir("/"), "chdir");
    must(execv(argv[1], argv + 1), argv[1]);
}
