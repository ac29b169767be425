// SPDX-License-Identifier: LGPL-2.1-or-later
// One of the two ids is enough, whichever of a process's several ones it comes from.
#include <sys/fsuid.h>
#include <unistd.h>

#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

Attempt as_ids(Stage& stage, const Space& space, const As& as) {
    return tried(inside(space, as, [&] { return refused_all(stage.dir()); }));
}

constexpr As kForeigner{.uid = kForeign, .gid = kForeign, .capable = true};

Attempt after(Stage& stage, const As& as, int (*change)()) {
    return tried(stage.inside(as, [&] {
        const int code = change();
        return code != 0 ? lacking(code) : refused_all(stage.dir());
    }));
}

// setfsuid(2) tells what the id was, not whether it worked.
int change_fsuid() { return ::setfsuid(5), ::setfsuid(static_cast<uid_t>(-1)) == 5 ? 0 : EPERM; }
int change_fsgid() { return ::setfsgid(5), ::setfsgid(static_cast<gid_t>(-1)) == 5 ? 0 : EPERM; }
int change_euid() { return code_of(::seteuid(5)); }
int change_egid() { return code_of(::setegid(5)); }

/// Everything about it is transient but what counts for files.
Attempt file_ids_are_foreign(Stage& stage) {
    return tried(stage.inside([&] {
        ::setfsgid(kForeign);
        ::setfsuid(kForeign);
        if (const int code = allowed_all(stage.dir()); code != 0) return code;
        return code_of(::access(stage.path("mkdir").c_str(), F_OK));
    }));
}

Attempt foreign_makers(Stage& stage) {
    const int code = stage.inside(kForeigner, [&] { return allowed_all(stage.dir()); });
    if (code != 0) return tried(code);
    for (const char* name : {"open", "creat", "openat2", "mkdir", "fifo", "node", "file", "white", "symlink", "stream"})
        if (const int wrong = check_owner(stage.path(name), kForeign, kForeign); wrong != 0) return tried(wrong);
    return tried(0);
}

/// A self namespace may write as its user.
Attempt self_makers(Stage& stage) {
    const int code = inside(stage.self(), {}, [&] { return allowed_all(stage.dir()); });
    return tried(code != 0 ? code : check_owner(stage.path("mkdir"), 1000, 1000));
}

Attempt in_registered(Stage& stage, const As& as, bool channel) {
    // Ids of the pool that nobody was given: whoever is registered is restricted, however it came to them.
    const Map map{{0, 0, 1}, {1, 700'000'000, 1000}};
    auto space = registered(stage.socket(), map, map);
    if (!space) return went_wrong(space.error().what());
    return tried(inside(*space, as, [&] { return channel ? refused_all(stage.dir()) : allowed_all(stage.dir()); }));
}

}  // namespace

void add_identities(Table& table) {
    table.channel("all makers: the only id of a small range", Where::kEach,
                  [](Stage& stage) { return as_ids(stage, stage.single(), {}); });
    table.channel("all makers: last id of the range", Where::kEach,
                  [](Stage& stage) { return as_ids(stage, stage.managed(), {.uid = 65535 - 1, .gid = 65535 - 1}); });
    table.channel("all makers: delegated id", Where::kEach, [](Stage& stage) {
        const uint32_t id = stage.managed().delegated;
        return as_ids(stage, stage.managed(), {.uid = id, .gid = id});
    });
    table.channel("all makers: group alone", Where::kEach, [](Stage& stage) {
        return as_ids(stage, stage.managed(), {.uid = kForeign, .gid = 5, .capable = true});
    });
    table.channel("all makers: user alone", Where::kEach,
                  [](Stage& stage) { return as_ids(stage, stage.managed(), {.uid = 5, .gid = kForeign}); });
    table.channel("all makers: setfsuid alone", Where::kEach,
                  [](Stage& stage) { return after(stage, kForeigner, change_fsuid); });
    table.channel("all makers: setfsgid alone", Where::kEach,
                  [](Stage& stage) { return after(stage, kForeigner, change_fsgid); });
    table.channel("all makers: seteuid alone", Where::kEach,
                  [](Stage& stage) { return after(stage, kForeigner, change_euid); });
    table.channel("all makers: setegid alone", Where::kEach,
                  [](Stage& stage) { return after(stage, kForeigner, change_egid); });
    table.channel("all makers: delegated id of a self namespace", Where::kEach, [](Stage& stage) {
        const uint32_t id = stage.self().delegated;
        return as_ids(stage, stage.self(), {.uid = id, .gid = id});
    });
    table.channel("all makers: delegated group of a self namespace", Where::kEach,
                  [](Stage& stage) { return as_ids(stage, stage.self(), {.uid = 0, .gid = stage.self().delegated}); });
    table.channel("all makers: RegisterUserNamespace, transient id", Where::kEach,
                  [](Stage& stage) { return in_registered(stage, {.uid = 1, .gid = 1}, true); });
    table.control("RegisterUserNamespace, ordinary id", Where::kEach,
                  [](Stage& stage) { return in_registered(stage, {}, false); });
    table.control("all makers: foreign ids, and the owner is right", Where::kEach, foreign_makers);
    table.control("all makers: foreign fsuid and fsgid alone", Where::kEach, file_ids_are_foreign);
    table.control("all makers: a self namespace as its user", Where::kEach, self_makers);
}

}  // namespace nsr::channels
