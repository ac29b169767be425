// SPDX-License-Identifier: LGPL-2.1-or-later
// Controllers of a cgroup that a process outside owns: turned on inside, by a descriptor from outside.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>

#include "base/sys.h"
#include "cgroup_scratch.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// For the service to notice the death of a namespace and to take back what the namespace has left.
constexpr uint64_t kReleaseUsec = 60'000'000;
constexpr useconds_t kPauseUsec = 50'000;

int write_text(const UniqueFd& file, const std::string& text) {
    return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

UniqueFd open_control(const std::string& cgroup) {
    return UniqueFd(::open((cgroup + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
}

/// A cgroup that may have the controller on, with one below it.
bool prepare(const CgroupScratch& scratch, const std::string& cgroup) {
    const std::filesystem::path root = std::filesystem::path(scratch.path()).parent_path();
    return write_text(open_control(root), "+pids") == 0 && write_text(open_control(scratch.path()), "+pids") == 0 &&
           ::mkdir((cgroup + "/below").c_str(), 0755) == 0;
}

/// The service takes back what has ids that are to be free.
Remains once_released(const std::string& cgroup) {
    const uint64_t end = sys::now_usec() + kReleaseUsec;
    for (;;) {
        Remains found = transient_files(cgroup);
        if (found.empty() || sys::now_usec() >= end) return found;
        ::usleep(kPauseUsec);
    }
}

/// Nothing is refused: it is a channel only if the files have those ids still when the namespace is gone.
Attempt turned_on_inside(Stage& stage, const Order& order, const std::function<As(const Space&)>& as) {
    const CgroupScratch scratch;
    if (scratch.path().empty()) return not_here("no cgroup2 here");
    const std::string cgroup = scratch.make("outside", 0755);
    if (!prepare(scratch, cgroup)) return not_here("no pids controller here");
    const UniqueFd control = open_control(cgroup);
    Remains meanwhile;
    {
        auto space = allocate(stage.socket(), order);
        if (!space) return went_wrong(space.error().what());
        const int code = inside(*space, as(*space), [&] { return write_text(control, "+pids"); });
        if (code != 0) return tried(code);
        meanwhile = transient_files(cgroup);
    }
    if (meanwhile.empty()) return went_wrong("no file has the ids");
    const bool is_watched = stage.level() == "enforce";
    const Remains left = is_watched ? once_released(cgroup) : meanwhile;
    return tried(left.empty() ? EPERM : 0, {left.begin(), left.end()});
}

As root_of(const Space&) { return {}; }

Attempt turned_on_below_own(Stage& stage) {
    const CgroupScratch scratch;
    if (scratch.path().empty()) return not_here("no cgroup2 here");
    auto space = allocate(stage.socket(), {.uid = 1004});
    if (!space) return went_wrong(space.error().what());
    const std::string own = scratch.make("own", 0755);
    if (!prepare(scratch, own)) return not_here("no pids controller here");
    if (const Status status = delegate(stage, *space, own); !status) return went_wrong(status.error().what());
    return tried(inside(*space, {}, [&] {
        if (const int code = write_text(open_control(own), "+pids"); code != 0) return code;
        if (const int code = code_of(::mkdir((own + "/a").c_str(), 0755)); code != 0) return code;
        const UniqueFd limit(::open((own + "/a/pids.max").c_str(), O_WRONLY | O_CLOEXEC));
        return write_text(limit, "17");
    }));
}

}  // namespace

void add_controllers(Table& table) {
    table.channel("controller of a cgroup from outside", Where::kOnce,
                  [](Stage& stage) { return turned_on_inside(stage, {.uid = 1004}, root_of); });
    table.channel("controller of a cgroup from outside, delegated id", Where::kOnce, [](Stage& stage) {
        return turned_on_inside(stage, {.uid = 1005, .self = true, .delegates = 1},
                                [](const Space& space) { return As{.uid = space.delegated, .gid = space.delegated}; });
    });
    table.control("controller of a delegated cgroup", Where::kOnce, turned_on_below_own);
}

}  // namespace nsr::channels
