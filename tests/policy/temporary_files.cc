// SPDX-License-Identifier: LGPL-2.1-or-later
// Files without a name, which can get one later, from whoever has the descriptor.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sys.h"
#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

Attempt linked_inside(Stage& stage, const As& as) {
    return tried(stage.inside(as, [&] { return make_temporary_file(stage.dir(), stage.path("linked")); }));
}

/// Made inside, changed there by `change`, and linked by root of the host, which nothing restricts.
Attempt linked_outside(Stage& stage, const As& as, int (*change)(int fd)) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    if (!pair) return went_wrong("no socket pair");
    const int code = stage.inside(as, [&] {
        const UniqueFd fd(::open(stage.dir().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
        if (!fd) return errno == EOPNOTSUPP ? lacking(EOPNOTSUPP) : errno;
        if (const int changed = change(fd.get()); changed != 0) return changed;
        return send_descriptor(pair->first.borrow(), fd.borrow());
    });
    const UniqueFd fd = receive_descriptor(pair->second.borrow());
    if (fd) {
        const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
        const int linked =
            code_of(::linkat(AT_FDCWD, name.c_str(), AT_FDCWD, stage.path("linked").c_str(), AT_SYMLINK_FOLLOW));
        if (linked != 0) return tried(linked);
    }
    return tried(code);
}

constexpr As kForeigner{.uid = kForeign, .gid = kForeign, .capable = true};

int leave_it(int) { return 0; }
int give_to_user(int fd) { return code_of(::fchown(fd, 7, 7)); }
int give_to_group(int fd) { return code_of(::fchown(fd, static_cast<uid_t>(-1), 7)); }

Attempt owned_by_foreign(Stage& stage) {
    Attempt attempt = linked_outside(stage, kForeigner, leave_it);
    if (attempt.code == 0 && attempt.missing.empty())
        attempt.code = check_owner(stage.path("linked"), kForeign, kForeign);
    return attempt;
}

}  // namespace

void add_temporary_files(Table& table) {
    table.channel("O_TMPFILE, linked inside", Where::kEach, [](Stage& stage) { return linked_inside(stage, {}); });
    table.channel("O_TMPFILE, the group alone", Where::kEach,
                  [](Stage& stage) { return linked_inside(stage, {.uid = kForeign, .gid = 5, .capable = true}); });
    table.channel("O_TMPFILE, linked by root outside", Where::kEach,
                  [](Stage& stage) { return linked_outside(stage, {}, leave_it); });
    table.channel("O_TMPFILE of foreign ids, chown, linked outside", Where::kEach,
                  [](Stage& stage) { return linked_outside(stage, kForeigner, give_to_user); });
    table.channel("O_TMPFILE of foreign ids, chgrp, linked outside", Where::kEach,
                  [](Stage& stage) { return linked_outside(stage, kForeigner, give_to_group); });
    table.control("O_TMPFILE of foreign ids, linked inside", Where::kEach,
                  [](Stage& stage) { return linked_inside(stage, kForeigner); });
    table.control("O_TMPFILE of foreign ids, linked outside", Where::kEach, owned_by_foreign);
}

}  // namespace nsr::channels
