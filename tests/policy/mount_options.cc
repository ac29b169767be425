// SPDX-License-Identifier: LGPL-2.1-or-later
// Mount options that name an owner, set from inside for a file system that is configured outside.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// Makes the file system; of devpts also a terminal, which gets its owner when it is made.
void mount_and_use(const UniqueFd& context, const std::string& at) {
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0 || attach(context, at) != 0) return;
    ::open((at + "/ptmx").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

Attempt set_inside(Stage& stage, const char* type, const Settings& settings) {
    if (!stage.directory("mnt", 0, 0)) return went_wrong("no directory");
    const UniqueFd context(::fsopen(type, FSOPEN_CLOEXEC));
    if (!context) return not_here(fmt::format("no {} ({})", type, errno_name(errno)));
    const int code = stage.inside([&] { return configure(context, settings); });
    // In a child, so that the terminal goes with it.
    Companion user([&](const std::function<void(int)>& ready) {
        mount_and_use(context, stage.path("mnt"));
        ready(0);
        ::pause();
    });
    Attempt attempt = tried(code, stage.remains());
    ::umount2(stage.path("mnt").c_str(), MNT_DETACH);
    return attempt;
}

Attempt own(Stage& stage, const char* type) {
    if (!stage.directory("mnt", stage.start(), stage.start())) return went_wrong("no directory");
    return tried(stage.inside({.mounts = true},
                              [&] { return mount_by_context(type, {{"uid", "5"}, {"gid", "6"}}, stage.path("mnt")); }));
}

}  // namespace

void add_mount_options(Table& table) {
    for (const char* type : {"tmpfs", "devpts"}) {
        for (const char* option : {"uid", "gid"})
            table
                .channel(fmt::format("{}= of a {} that is mounted outside", option, type), Where::kOnce,
                         [=](Stage& stage) { return set_inside(stage, type, {{option, "5"}}); })
                .by_answer();
        table.control(fmt::format("own {} with uid= and gid=", type), Where::kOnce,
                      [=](Stage& stage) { return own(stage, type); });
    }
    table.control("mode= of a tmpfs that is mounted outside", Where::kOnce,
                  [](Stage& stage) { return set_inside(stage, "tmpfs", {{"mode", "755"}}); });
}

}  // namespace nsr::channels
