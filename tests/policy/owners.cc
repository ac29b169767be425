// SPDX-License-Identifier: LGPL-2.1-or-later
// chown(2) of what is there already.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr uid_t kSame = static_cast<uid_t>(-1);

/// How a file gets another owner.
using Change = int (*)(const std::string& path, uid_t uid, gid_t gid);

int by_chown(const std::string& path, uid_t uid, gid_t gid) { return code_of(::chown(path.c_str(), uid, gid)); }
int by_lchown(const std::string& path, uid_t uid, gid_t gid) { return code_of(::lchown(path.c_str(), uid, gid)); }
int by_fchown(const std::string& path, uid_t uid, gid_t gid) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return code_of(::fchown(fd.get(), uid, gid));
}
int by_fchownat(const std::string& path, uid_t uid, gid_t gid) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    return code_of(::fchownat(fd.get(), "", uid, gid, AT_EMPTY_PATH));
}
int by_proc(const std::string& path, uid_t uid, gid_t gid) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    return by_chown("/proc/self/fd/" + std::to_string(fd.get()), uid, gid);
}

Attempt give(Stage& stage, Change change, uid_t uid, gid_t gid, unsigned mode = 0644) {
    if (!stage.file("f", kForeign, kForeign, mode)) return went_wrong("no file");
    return tried(stage.inside([&] { return change(stage.path("f"), uid, gid); }));
}

Attempt give_symlink(Stage& stage) {
    if (::symlink("x", stage.path("f").c_str()) < 0 || ::lchown(stage.path("f").c_str(), kForeign, kForeign) < 0)
        return went_wrong("no link");
    return tried(stage.inside([&] { return by_lchown(stage.path("f"), 5, 5); }));
}

Attempt give_directory(Stage& stage) {
    if (!stage.directory("f", kForeign, kForeign, 02755)) return went_wrong("no directory");
    return tried(stage.inside([&] { return by_chown(stage.path("f"), 5, 5); }));
}

Attempt give_own(Stage& stage, uid_t uid, gid_t gid) {
    if (!stage.file("f", stage.start(), stage.start())) return went_wrong("no file");
    return tried(stage.inside([&] { return by_chown(stage.path("f"), uid, gid); }));
}

/// The owner of a file needs no capability to give it to a group that he is in.
Attempt give_to_own_group(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside({.uid = kForeign, .gid = kForeign, .groups = {77}},
                              [&] { return by_chown(stage.path("f"), kSame, 77); }));
}

Attempt give_in_self(Stage& stage, uid_t uid, gid_t gid) {
    if (!stage.file("f", 1000, 1000)) return went_wrong("no file");
    return tried(inside(stage.self(), {}, [&] { return by_chown(stage.path("f"), uid, gid); }));
}

Attempt through_bind_mount(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside({.mounts = true}, [&] {
        const UniqueFd tree = clone_tree(stage.dir());
        if (!tree) return lacking(errno);
        return by_chown("/proc/self/fd/" + std::to_string(tree.get()) + "/f", 5, 5);
    }));
}

Attempt by_inherited_descriptor(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    const UniqueFd fd(::open(stage.path("f").c_str(), O_RDONLY | O_CLOEXEC));
    return tried(stage.inside([&] { return code_of(::fchown(fd.get(), 5, 5)); }));
}

Attempt nothing_at_all(Stage& stage) {
    if (!stage.file("f", stage.start(), stage.start(), 04755)) return went_wrong("no file");
    return tried(stage.inside([&] { return by_chown(stage.path("f"), kSame, kSame); }));
}

}  // namespace

void add_owners(Table& table) {
    table.channel("chown", Where::kEach, [](Stage& s) { return give(s, by_chown, 5, 5); });
    table.channel("chown, user alone", Where::kEach, [](Stage& s) { return give(s, by_chown, 5, kSame); });
    table.channel("chown, group alone", Where::kEach, [](Stage& s) { return give(s, by_chown, kSame, 5); });
    table.channel("chown to foreign user and transient group", Where::kEach,
                  [](Stage& s) { return give(s, by_chown, kForeign + 1, 5); });
    table.channel("chown to a delegated id", Where::kEach,
                  [](Stage& s) { return give(s, by_chown, s.managed().delegated, kSame); });
    table.channel("fchown", Where::kEach, [](Stage& s) { return give(s, by_fchown, 5, 5); });
    table.channel("lchown", Where::kEach, [](Stage& s) { return give(s, by_lchown, 5, 5); });
    table.channel("lchown of a symbolic link", Where::kEach, give_symlink);
    table.channel("fchownat(AT_EMPTY_PATH)", Where::kEach, [](Stage& s) { return give(s, by_fchownat, 5, 5); });
    table.channel("chown of /proc/self/fd/N", Where::kEach, [](Stage& s) { return give(s, by_proc, 5, 5); });
    table.channel("chown of a set-user-ID file", Where::kEach, [](Stage& s) { return give(s, by_chown, 5, 5, 06755); });
    table.channel("chown of a directory", Where::kEach, give_directory);
    table.channel("chown through a bind mount", Where::kEach, through_bind_mount);
    table.channel("fchown of a descriptor from outside", Where::kEach, by_inherited_descriptor);
    table.channel("chgrp by the owner to a group of his", Where::kEach, give_to_own_group);
    table.channel("chown that changes nothing", Where::kEach, [](Stage& s) { return give_own(s, 0, 0); }).by_answer();
    table.channel("chgrp that changes nothing", Where::kEach, [](Stage& s) { return give_own(s, kSame, 0); })
        .by_answer();
    table.channel("chown within the range", Where::kEach, [](Stage& s) { return give_own(s, 9, 9); });
    table.channel("chown to a delegated id, self namespace", Where::kEach,
                  [](Stage& s) { return give_in_self(s, s.self().delegated, kSame); });
    table.channel("chgrp to a delegated id, self namespace", Where::kEach,
                  [](Stage& s) { return give_in_self(s, kSame, s.self().delegated); });
    table.control("chown to foreign ids", Where::kEach,
                  [](Stage& s) { return give(s, by_chown, kForeign + 1, kForeign + 2); });
    table.control("chown of a transient file to foreign ids", Where::kEach,
                  [](Stage& s) { return give_own(s, kForeign, kForeign); });
    table.control("chown(-1, -1)", Where::kEach, nothing_at_all);
}

}  // namespace nsr::channels
