// SPDX-License-Identifier: LGPL-2.1-or-later
// The policy is for managed namespaces, and for as long as they live.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "makers.h"
#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

// Inode numbers are given out again at once, or only after all others.
constexpr int kNamespaces = 300;
constexpr int kAllocations = 20;

int everything(const std::string& at) {
    if (const int code = allowed_all(at); code != 0) return code;
    return make_temporary_file(at, at + "/linked");
}

Attempt host_process(Stage& stage) {
    return tried(run_child([&] {
        if (::setgroups(0, nullptr) < 0 || ::setresgid(stage.start(), stage.start(), stage.start()) < 0 ||
            ::setresuid(stage.start(), stage.start(), stage.start()) < 0)
            return lacking(errno);
        return everything(stage.dir());
    }));
}

Attempt host_root(Stage& stage) {
    return tried(run_child([&] {
        if (const int code = make_file(stage.path("f")); code != 0) return code;
        return code_of(::chown(stage.path("f").c_str(), stage.start(), stage.start()));
    }));
}

Attempt unregistered(Stage& stage) {
    const Map map{{0, stage.start(), kRangeSize}};
    auto space = unmanaged(map, map);
    if (!space) return went_wrong(space.error().what());
    return tried(inside(*space, {}, [&] { return everything(stage.dir()); }));
}

/// Root of the host in a mount namespace that belongs to a managed one.
Attempt host_root_in_mounts(Stage& stage) {
    Companion keeper([&](const std::function<void(int)>& ready) {
        ready(enter(stage.managed(), {.mounts = true}));
        ::pause();
    });
    if (keeper.answer() != 0) return went_wrong("no mount namespace");
    auto mounts = sys::open_at(sys::kCwd, fmt::format("/proc/{}/ns/mnt", keeper.pid()), O_RDONLY);
    if (!mounts) return went_wrong(mounts.error().what());
    return tried(run_child([&] {
        if (::setns(mounts->get(), CLONE_NEWNS) < 0) return lacking(errno);
        if (const int code = make_file(stage.path("f")); code != 0) return code;
        return code_of(::chown(stage.path("f").c_str(), stage.start(), stage.start()));
    }));
}

ino_t number_of(const Space& space) {
    struct stat status{};
    return ::fstat(space.fd.get(), &status) == 0 ? status.st_ino : 0;
}

/// A namespace that has the number of one that is dead.
Attempt number_used_again(Stage& stage) {
    ino_t number = 0;
    {
        auto dead = allocate(stage.socket(), {.uid = 1006});
        if (!dead) return went_wrong(dead.error().what());
        number = number_of(*dead);
    }
    const Map map{{0, 700'000'000, kRangeSize}};
    std::vector<Space> others;
    for (int i = 0; i < kNamespaces; ++i) {
        auto space = unmanaged(map, map);
        if (!space) return went_wrong(space.error().what());
        if (number_of(*space) == number) return tried(inside(*space, {}, [&] { return everything(stage.dir()); }));
        // Kept, so that the next one gets another number, but not so many that it costs much.
        others.push_back(std::move(*space));
    }
    return not_here(fmt::format("the number does not come again within {} namespaces", kNamespaces));
}

/// Each of them dies before the next one is made.
Attempt numbers_one_after_another(Stage& stage) {
    for (int i = 0; i < kAllocations; ++i) {
        auto space = allocate(stage.socket(), {.uid = 1006, .tries = 1});
        if (!space) return went_wrong(fmt::format("number {}: {}", i, space.error().what()));
        const int code = inside(*space, {}, [&] { return refused_all(stage.dir()); });
        if (code != EPERM) return went_wrong(fmt::format("number {} was not held", i));
    }
    return tried(0);
}

}  // namespace

void add_unmanaged(Table& table) {
    table.control("host process with a transient id", Where::kEach, host_process);
    table.control("host root gives a file to a transient id", Where::kEach, host_root);
    table.control("host root in a managed mount namespace", Where::kEach, host_root_in_mounts);
    table.control("unregistered namespace with transient ids", Where::kEach, unregistered);
    table.control("inode number of a dead namespace", Where::kOnce, number_used_again);
    table.control("20 managed namespaces one after another", Where::kOnce, numbers_one_after_another)
        .enforce_only("without the policy it takes time until somebody notices a death");
}

}  // namespace nsr::channels
