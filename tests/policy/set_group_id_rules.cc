// SPDX-License-Identifier: LGPL-2.1-or-later
// File systems that have a rule of their own for the group of what is made in a set-group-ID directory.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstring>

#include "base/result.h"
#include "cgroup_scratch.h"
#include "fuse_server.h"
#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// Only the group is transient.
constexpr As kGroupAlone{.uid = kForeign, .gid = 5, .capable = true};

int make_queue() {
    const mqd_t queue = ::mq_open("/channels", O_CREAT | O_EXCL | O_RDWR, 0600, nullptr);
    if (queue == static_cast<mqd_t>(-1)) return errno;
    ::mq_close(queue);
    return 0;
}

/// mqueue gives a queue the group of the process there, too.
Attempt in_mqueue(Stage& stage, const As& as, const Body& make) {
    struct stat before{};
    if (::stat(stage.mqueue().c_str(), &before) < 0 || ::chmod(stage.mqueue().c_str(), 03777) < 0)
        return went_wrong("no mqueue");
    const int code = stage.inside(as, make);
    const Remains found = transient_ipc(stage.mqueue());
    remove_ipc(stage.mqueue());
    ::chmod(stage.mqueue().c_str(), before.st_mode & 07777);
    return tried(code, {found.begin(), found.end()});
}

/// Which group a new cgroup has in such a directory, tried by root.
bool has_group_of_process(const std::string& directory) {
    constexpr gid_t kSomeGroup = 7;
    const std::string path = directory + "/probe";
    const int code = run_child([&] {
        if (::setresgid(kSomeGroup, kSomeGroup, kSomeGroup) < 0) return errno;
        return code_of(::mkdir(path.c_str(), 0755));
    });
    struct stat status{};
    const bool has = code == 0 && ::stat(path.c_str(), &status) == 0 && status.st_gid == kSomeGroup;
    ::rmdir(path.c_str());
    return has;
}

Attempt in_cgroup(Stage& stage) {
    const CgroupScratch scratch;
    if (scratch.path().empty()) return not_here("no cgroup2 here");
    const std::string outside = scratch.make("outside", 02777);
    if (!has_group_of_process(outside)) return not_here("a new cgroup has the group of the one above");
    const int code = stage.inside(kGroupAlone, [&] { return make_directory(outside + "/d"); });
    const Remains found = transient_files(scratch.path());
    return tried(code, {found.begin(), found.end()});
}

/// The server is told the group of the process, and does with it as it likes.
Attempt in_fuse(Stage& stage, const As& as) {
    const std::string at = stage.path("mnt");
    const UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!device) return not_here(fmt::format("no FUSE ({})", errno_name(errno)));
    if (!stage.directory("mnt", 0, 0)) return went_wrong("no directory");
    if (const int code = mount_fuse(device, at); code != 0)
        return not_here(fmt::format("no FUSE ({})", errno_name(code)));
    const Page told;
    const Companion server([&](const std::function<void(int)>& ready) {
        ready(0);
        const uint32_t group = serve_fuse(device);
        std::memcpy(told.text, &group, sizeof group);
        ::pause();
    });
    const int code = stage.inside(as, [&] { return make_directory(at + "/d"); });
    ::umount2(at.c_str(), MNT_DETACH);
    uint32_t group = 0;
    std::memcpy(&group, told.text, sizeof group);
    if (!is_transient(group)) return tried(code);
    return tried(code, {fmt::format("the server was told of group {}", group)});
}

}  // namespace

void add_set_group_id_rules(Table& table) {
    table.channel("POSIX queue, set-group-ID mqueue, group alone", Where::kOnce,
                  [](Stage& s) { return in_mqueue(s, kGroupAlone, make_queue); });
    table.channel("file of a set-group-ID mqueue, group alone", Where::kOnce,
                  [](Stage& s) { return in_mqueue(s, kGroupAlone, [&s] { return make_file(s.mqueue() + "/q"); }); });
    table.control("POSIX queue, set-group-ID mqueue, foreign ids", Where::kOnce,
                  [](Stage& s) { return in_mqueue(s, {.uid = kForeign, .gid = kForeign}, make_queue); });
    table.channel("set-group-ID cgroup, group alone", Where::kOnce, in_cgroup);
    table.channel("set-group-ID directory of a FUSE, group alone", Where::kOnce,
                  [](Stage& s) { return in_fuse(s, kGroupAlone); });
    table.control("set-group-ID directory of a FUSE, foreign ids", Where::kOnce,
                  [](Stage& s) { return in_fuse(s, {.uid = kForeign, .gid = kForeign}); });
}

}  // namespace nsr::channels
