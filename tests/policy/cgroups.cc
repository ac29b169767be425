// SPDX-License-Identifier: LGPL-2.1-or-later
// Control groups: those below a delegated one are removed with the namespace, all others stay.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_scratch.h"
#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr int kDepth = 70;

using Scratch = CgroupScratch;
using Prepare = std::function<bool(const Space&, const Scratch&)>;
bool nothing(const Space&, const Scratch&) { return true; }

/// The case, with a namespace of its own that has one cgroup of a fresh tree; what `prepare` makes was there before.
Attempt with_cgroup(Stage& stage, const Prepare& prepare,
                    const std::function<int(const Space&, const Scratch&, const std::string& own)>& run) {
    const Scratch scratch;
    if (scratch.path().empty()) return not_here("no cgroup2 here");
    auto space = allocate(stage.socket(), {.uid = 1004});
    if (!space) return went_wrong(space.error().what());
    const std::string own = scratch.make("own", 0755);
    if (const Status status = delegate(stage, *space, own); !status) return went_wrong(status.error().what());
    if (!prepare(*space, scratch)) return went_wrong("cannot be prepared");
    const Remains before = transient_files(scratch.path());
    const int code = run(*space, scratch, own);
    // What is below the delegated one goes with it.
    std::vector<std::string> remains;
    for (auto& line : added(before, transient_files(scratch.path())))
        if (!line.starts_with(own + "/")) remains.push_back(std::move(line));
    return tried(code, std::move(remains));
}

Attempt not_delegated(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch& scratch, const std::string&) {
        const std::string other = scratch.make("other", 0777);
        return inside(space, {}, [&] { return make_directory(other + "/d"); });
    });
}

Attempt above(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch& scratch, const std::string&) {
        ::chmod(scratch.path().c_str(), 0777);
        return inside(space, {}, [&] { return make_directory(scratch.path() + "/d"); });
    });
}

Attempt chown_of_other(Stage& stage) {
    const auto prepare = [](const Space& space, const Scratch& scratch) {
        return ::chown(scratch.make("other", 0755).c_str(), space.start, space.start) == 0;
    };
    return with_cgroup(stage, prepare, [](const Space& space, const Scratch& scratch, const std::string&) {
        return inside(space, {}, [&] { return code_of(::chown((scratch.path() + "/other").c_str(), 5, 5)); });
    });
}

/// Removed when the other one dies, which may be long after this one did.
Attempt of_another(Stage& stage) {
    const auto prepare = [&](const Space&, const Scratch& scratch) {
        const std::string other = scratch.make("other", 0755);
        return delegate(stage, stage.managed(), other).has_value() && ::chmod(other.c_str(), 0777) == 0;
    };
    return with_cgroup(stage, prepare, [&](const Space& space, const Scratch& scratch, const std::string&) {
        return inside(space, {}, [&] { return make_directory(scratch.path() + "/other/d"); });
    });
}

Attempt below(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch&, const std::string& own) {
        return inside(space, {}, [&] {
            if (const int code = make_directory(own + "/a"); code != 0) return code;
            if (const int code = make_directory(own + "/a/b"); code != 0) return code;
            if (::chown((own + "/a/b").c_str(), 5, 5) < 0) return errno;
            if (::chown((own + "/a/b/cgroup.procs").c_str(), 5, 5) < 0) return errno;
            return code_of(::rmdir((own + "/a/b").c_str()));
        });
    });
}

Attempt below_nested(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch&, const std::string& own) {
        const Map map{{0, 0, kRangeSize}};
        auto nested = unmanaged(map, map, &space);
        return nested ? inside(*nested, {}, [&] { return make_directory(own + "/a"); }) : ENOTRECOVERABLE;
    });
}

Attempt own_mount(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch&, const std::string& own) {
        return inside(space, {.mounts = true}, [&] {
            const UniqueFd procs(::open((own + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
            // Root of the host would have put it there; from inside, another cgroup namespace is not needed.
            if (::unshare(CLONE_NEWCGROUP) < 0) return lacking(errno);
            return make_directory(own + "/a");
        });
    });
}

Attempt deep_below(Stage& stage) {
    return with_cgroup(stage, nothing, [](const Space& space, const Scratch&, const std::string& own) {
        return inside(space, {}, [&] {
            std::string path = own;
            for (int depth = 0; depth < kDepth; ++depth)
                if (const int code = make_directory(path += "/d"); code != 0) return code;
            return 0;
        });
    });
}

}  // namespace

void add_cgroups(Table& table) {
    table.channel("cgroup that was not delegated", Where::kOnce, not_delegated);
    table.channel("cgroup above the delegated one", Where::kOnce, above);
    table.channel("chown of a cgroup that was not delegated", Where::kOnce, chown_of_other);
    table.channel("cgroup that was delegated to another namespace", Where::kOnce, of_another);
    table.control("two levels below a delegated cgroup, with chown", Where::kOnce, below);
    table.control("below a delegated cgroup, nested namespace", Where::kOnce, below_nested);
    table.control("below a delegated cgroup, own cgroup namespace", Where::kOnce, own_mount);
    table.report("70 levels below a delegated cgroup", Where::kOnce, "the way up may be bounded", deep_below);
}

}  // namespace nsr::channels
