// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

namespace nsr::channels {

Result<Setting> Setting::make(std::string socket, std::string level, std::string scratch) {
    Setting setting;
    setting.managed = TRY(allocate(socket, {.uid = 1000, .delegates = 1, .foreign = true}));
    setting.single = TRY(allocate(socket, {.uid = 1001, .size = 1}));
    setting.self = TRY(allocate(socket, {.uid = 1000, .self = true, .delegates = 1}));
    setting.mqueue = scratch + "/mqueue";
    TRY(sys::ensure_directory(sys::kCwd, setting.mqueue, 0755));
    if (::mount("mqueue", setting.mqueue.c_str(), "mqueue", 0, nullptr) < 0) return fail_errno(errno, "mount mqueue");
    setting.socket = std::move(socket);
    setting.level = std::move(level);
    setting.scratch = std::move(scratch);
    return setting;
}

bool Stage::file(const std::string& name, uint32_t uid, uint32_t gid, unsigned mode) {
    const UniqueFd fd(::open(path(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    // The mode comes last: a new owner takes set-user-ID bits away.
    const bool made = fd && ::fchown(fd.get(), uid, gid) == 0 && ::fchmod(fd.get(), mode) == 0;
    note_prepared();
    return made;
}

bool Stage::directory(const std::string& name, uint32_t uid, uint32_t gid, unsigned mode) {
    const bool made = ::mkdir(path(name).c_str(), 0700) == 0 && ::chown(path(name).c_str(), uid, gid) == 0 &&
                      ::chmod(path(name).c_str(), mode) == 0;
    note_prepared();
    return made;
}

}  // namespace nsr::channels
