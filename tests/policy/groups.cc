// SPDX-License-Identifier: LGPL-2.1-or-later
// setgroups(2): a self namespace must not let its user out of groups that are refused something.
#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <array>
#include <csignal>

#include "compat.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

int drop_groups() { return code_of(::setgroups(0, nullptr)); }

int drop_groups_compat(long number) {
    const LowMemory memory(64);
    if (memory.data() == nullptr) return lacking(ENOMEM);
    const long result = compat_call(number, 0, memory.address(), 0);
    if (result == -ENOSYS) return lacking(ENOSYS);
    return result < 0 ? static_cast<int>(-result) : 0;
}

/// Goes in with a group that it would lose. enter() drops all, so this one goes its own way.
Attempt in_self(const Space& space, const Body& drop) {
    return tried(run_child([&] {
        const gid_t kept = 4242;
        if (::setgroups(1, &kept) < 0 || ::setns(space.fd.get(), CLONE_NEWUSER) < 0) return ENOTRECOVERABLE;
        if (::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0) return ENOTRECOVERABLE;
        return drop();
    }));
}

int nested_without_map() {
    if (::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
    return drop_groups();
}

Attempt nested_with_map(Stage& stage) {
    // Somebody with the capability in the namespace above writes the map, so that nothing has to be denied for that.
    const uint32_t id = stage.self().delegated;
    auto space = unmanaged({{0, 0, 1}, {1, id, 100}}, {{0, 0, 1}, {1, id, 100}}, &stage.self());
    if (!space) return went_wrong(space.error().what());
    return in_self(*space, drop_groups);
}

Attempt allowed_in(const Space& space) {
    return tried(inside(space, {}, [] {
        const std::array<gid_t, 3> some{1, 2, 3};
        if (::setgroups(some.size(), some.data()) < 0) return errno;
        return drop_groups();
    }));
}

Attempt managed_below_self(Stage& stage) {
    auto outer = allocate(stage.socket(), {.uid = 1005, .self = true, .delegates = 1});
    if (!outer) return went_wrong(outer.error().what());
    auto space = allocate(stage.socket(), {.uid = 0, .parent = &*outer});
    if (!space) return went_wrong(space.error().what());
    return allowed_in(*space);
}

Attempt self_below_managed(Stage& stage) {
    auto space = allocate(stage.socket(), {.uid = 0, .parent = &stage.managed(), .self = true});
    if (!space) return went_wrong(space.error().what());
    return in_self(*space, drop_groups);
}

}  // namespace

void add_groups(Table& table) {
    const char* why = "without the policy setgroups is denied by the kernel";
    const auto add = [&](const char* name, std::function<Attempt(Stage&)> run) {
        table.channel(name, Where::kOnce, std::move(run)).by_answer().anyway(why);
    };
    add("setgroups, self namespace", [](Stage& s) { return in_self(s.self(), drop_groups); });
    add("setgroups by 32-bit call", [](Stage& s) { return in_self(s.self(), [] { return drop_groups_compat(206); }); });
    add("setgroups by 16-bit call", [](Stage& s) { return in_self(s.self(), [] { return drop_groups_compat(81); }); });
    add("setgroups, nested in a self namespace, no map",
        [](Stage& s) { return in_self(s.self(), nested_without_map); });
    add("setgroups, nested in a self namespace, mapped", nested_with_map);
    add("setgroups, self namespace in a managed one", self_below_managed);
    table.control("setgroups, managed namespace", Where::kOnce, [](Stage& s) { return allowed_in(s.managed()); });
    table.control("setgroups, nested in a managed namespace", Where::kOnce, [](Stage& s) {
        const Map map{{0, 0, kRangeSize}};
        auto space = unmanaged(map, map, &s.managed());
        return space ? allowed_in(*space) : went_wrong(space.error().what());
    });
    table.control("setgroups, managed namespace in a self one", Where::kOnce, managed_below_self)
        .enforce_only("without the policy the kernel denies it to all that is below");
}

}  // namespace nsr::channels
