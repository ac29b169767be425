// SPDX-License-Identifier: LGPL-2.1-or-later
// New inodes in a directory of the host that everybody may write, by path.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

Attempt by(const Maker& maker, Stage& stage) {
    const std::string target = stage.path("d");
    if (!stage.directory("d", 0, 0)) return went_wrong("no directory");
    if (::symlink("d/behind", stage.path("dangling").c_str()) < 0) return went_wrong("no link");
    return tried(stage.inside([&] { return maker.make(target); }));
}

Attempt in_sticky_directory(Stage& stage) {
    if (!stage.directory("sticky", 0, 0, 01777)) return went_wrong("no directory");
    return tried(stage.inside([&] { return refused_all(stage.path("sticky")); }));
}

Attempt in_directory_of_the_range(Stage& stage) {
    if (!stage.directory("own", stage.start(), stage.start(), 0755)) return went_wrong("no directory");
    return tried(stage.inside([&] { return refused_all(stage.path("own")); }));
}

Attempt as_other_user(Stage& stage) {
    return tried(stage.inside({.uid = 1000, .gid = 1000}, [&] { return refused_all(stage.dir()); }));
}

Attempt link_of(Stage& stage, uint32_t uid, uint32_t gid, const As& as) {
    if (!stage.file("f", uid, gid, 0666)) return went_wrong("no file");
    return tried(
        stage.inside(as, [&] { return code_of(::link(stage.path("f").c_str(), stage.path("linked").c_str())); }));
}

Attempt link_of_descriptor(Stage& stage) {
    if (!stage.file("f", stage.start(), stage.start())) return went_wrong("no file");
    return tried(stage.inside([&] {
        const UniqueFd fd(::open(stage.path("f").c_str(), O_RDONLY | O_CLOEXEC));
        const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
        return code_of(::linkat(AT_FDCWD, name.c_str(), AT_FDCWD, stage.path("linked").c_str(), AT_SYMLINK_FOLLOW));
    }));
}

Attempt link_of_symlink(Stage& stage) {
    if (::symlink("x", stage.path("s").c_str()) < 0 ||
        ::lchown(stage.path("s").c_str(), stage.start(), stage.start()) < 0)
        return went_wrong("no link");
    stage.note_prepared();
    return tried(stage.inside([&] { return code_of(::link(stage.path("s").c_str(), stage.path("linked").c_str())); }));
}

/// What is left in place of a foreign file that moves away is an inode of the mover's own.
Attempt whiteout(Stage& stage, bool exchange) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    if (exchange && !stage.file("g", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside([&] {
        const int code =
            code_of(::renameat2(AT_FDCWD, stage.path("f").c_str(), AT_FDCWD, stage.path("g").c_str(), RENAME_WHITEOUT));
        return code == EINVAL ? lacking(EINVAL) : code;
    }));
}

Attempt core_dump(Stage& stage) {
    std::ifstream file("/proc/sys/kernel/core_pattern");
    std::string pattern;
    std::getline(file, pattern);
    if (pattern.starts_with('|')) return not_here("core dumps go to a program");
    if (pattern.contains('/')) return not_here("core dumps go to another directory");
    // Nobody is told that a core file was refused: there is one, or none.
    return tried(stage.inside({.uid = 5, .gid = 5}, [&] {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const rlimit enough{RLIM_INFINITY, RLIM_INFINITY};
            ::setrlimit(RLIMIT_CORE, &enough);
            if (::chdir(stage.dir().c_str()) < 0) ::_exit(1);
            ::signal(SIGABRT, SIG_DFL);
            ::abort();
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFSIGNALED(status) && !WCOREDUMP(status) ? EPERM : 0;
    }));
}

}  // namespace

void add_new_inodes(Table& table) {
    for (const auto& maker : makers())
        table.channel(maker.name, Where::kEach, [&maker](Stage& stage) { return by(maker, stage); });
    table.channel("all makers: sticky directory", Where::kEach, in_sticky_directory);
    table.channel("all makers: directory of the range", Where::kEach, in_directory_of_the_range);
    table.channel("all makers: another user inside", Where::kEach, as_other_user);
    table.channel("link, own file", Where::kEach,
                  [](Stage& stage) { return link_of(stage, stage.start(), stage.start(), {}); });
    table.channel("link, file with the group alone", Where::kEach,
                  [](Stage& stage) { return link_of(stage, kForeign, stage.start(), {}); });
    table.channel("link, file of another user of the range", Where::kEach,
                  [](Stage& stage) { return link_of(stage, stage.start() + 9, stage.start() + 9, {}); });
    table.channel("link of a transient file, by foreign ids", Where::kEach, [](Stage& stage) {
        return link_of(stage, stage.start(), stage.start(), {.uid = kForeign, .gid = kForeign, .capable = true});
    });
    table.channel("link of /proc/self/fd/N", Where::kEach, link_of_descriptor);
    table.channel("link of a symbolic link", Where::kEach, link_of_symlink);
    table.channel("rename with RENAME_WHITEOUT", Where::kEach, [](Stage& stage) { return whiteout(stage, false); });
    table.channel("RENAME_WHITEOUT over a file", Where::kEach, [](Stage& stage) { return whiteout(stage, true); });
    table.channel("core dump", Where::kEach, core_dump);
}

}  // namespace nsr::channels
