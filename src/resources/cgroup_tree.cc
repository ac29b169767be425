// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/cgroup_tree.h"

#include <fcntl.h>
#include <unistd.h>
#include <climits>
#include <optional>
#include <string>
#include <vector>

#include "base/sys.h"
#include "resources/cgroup_file.h"
#include "resources/cgroup_handle.h"
#include "resources/cgroup_listing.h"
#include "resources/cgroup_mount.h"
#include "resources/cgroup_ownership.h"

namespace nsr::resources {

namespace {

/// All below the cgroup before it has been looked at.
constexpr CgroupId kDescended(0);

using Entry = CgroupListing::Entry;

// The first cgroup directly below that `wanted` accepts.
template <class Wanted>
Result<std::optional<Entry>> find_child(BorrowedFd cgroup, Wanted wanted) {
    auto listing = TRY(CgroupListing::open(cgroup));
    for (;;) {
        auto entry = TRY(listing.next());
        if (entry.kind == Entry::Kind::kNone) return std::optional<Entry>();
        if (entry.kind == Entry::Kind::kCgroup && wanted(entry.id)) return std::optional(std::move(entry));
    }
}

Result<UniqueFd> look_up(BorrowedFd mount, CgroupId id) {
    CgroupHandle handle(id);
    UniqueFd fd(open_by_handle_at(mount.get(), handle.get(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int code = errno;
    if (!fd) return fail_errno(code, fmt::format("open cgroup {}", id));
    return fd;
}

// Nothing: there is no such cgroup any more. The kernel says ESTALE for other errors, too (do_handle_to_path() in
// fs/fhandle.c), and a range must not be free while a cgroup that was not found has its ids: so the mounted one, which
// is certainly there, must be found right after, and the answer be the same once more.
Result<std::optional<UniqueFd>> open_cgroup(BorrowedFd mount, CgroupId id) {
    auto cgroup = look_up(mount, id);
    if (!cgroup && cgroup.error().code() == ESTALE) {
        CgroupId mounted = TRY(cgroup_id(mount));
        if (!look_up(mount, mounted)) return fail(EAGAIN, "the kernel cannot tell whether cgroup {} is there", id);
        cgroup = look_up(mount, id);
        if (!cgroup && cgroup.error().code() == ESTALE) return std::optional<UniqueFd>();
    }
    return std::optional(TRY(std::move(cgroup)));
}

// A guess that the caller checks: the kernel's own path has it without a search among thousands of siblings, but is not
// given out for a very deep cgroup, or without /proc.
std::string likely_name(BorrowedFd cgroup) {
    char path[PATH_MAX];
    ssize_t length = readlink(fmt::format("/proc/self/fd/{}", cgroup.get()).c_str(), path, sizeof path);
    if (length <= 0) return {};
    std::string_view text(path, static_cast<size_t>(length));
    return std::string(text.substr(text.rfind('/') + 1));
}

Result<std::optional<std::string>> name_in(BorrowedFd parent, BorrowedFd cgroup, CgroupId id) {
    std::string guess = likely_name(cgroup);
    auto found = sys::stat_at(parent, guess);
    if (found && found->st_ino == id.value) return std::optional(std::move(guess));
    auto entry = TRY(find_child(parent, [&](CgroupId child) { return child == id; }));
    if (!entry) return std::optional<std::string>();
    return std::optional(std::move(entry->name));
}

// The kernel removes by name only. Should somebody remove this cgroup and make another of the same name between the
// look at its id and rmdir(2), that one goes instead; it can only be an empty one.
Result<CgroupRemoval> remove_empty(BorrowedFd cgroup, CgroupId id) {
    UniqueFd parent = TRY(sys::open_at(cgroup, "..", O_RDONLY | O_DIRECTORY));
    auto name = TRY(name_in(parent.borrow(), cgroup, id));
    if (!name) return CgroupRemoval::kGone;
    Status removed = sys::unlink_at(parent.borrow(), *name, AT_REMOVEDIR);
    if (removed || removed.error().code() == ENOENT) return CgroupRemoval::kGone;
    if (removed.error().code() == EBUSY || removed.error().code() == ENOTEMPTY) return CgroupRemoval::kBusy;
    return Failure(std::move(removed).error());
}

Result<CgroupWalk> cgroups_below(BorrowedFd cgroup) {
    CgroupWalk below;
    auto listing = TRY(CgroupListing::open(cgroup));
    for (;;) {
        auto entry = TRY(listing.next());
        if (entry.kind == Entry::Kind::kNone) return below;
        if (entry.kind == Entry::Kind::kCgroup) below.push_back(entry.id);
    }
}

// After one more was looked at.
bool may_go_on(CgroupTree::Effort& effort) {
    if (effort.visits > 0) --effort.visits;
    return effort.visits > 0 && sys::now_usec() < effort.end_usec;
}

// One that cannot be removed is tried once more when all below it has been. Each is opened anew by its id, so a tree of
// any depth and shape, changed under our feet, costs one or two descriptors, and the way is never lost.
Status remove_next(BorrowedFd mount, CgroupWalk& walk) {
    bool descended = walk.back() == kDescended;
    if (descended) walk.pop_back();
    if (walk.empty()) return {};
    CgroupId id = walk.back();
    walk.pop_back();
    auto cgroup = TRY(open_cgroup(mount, id));
    if (!cgroup || TRY(remove_empty(cgroup->borrow(), id)) == CgroupRemoval::kGone || descended) return {};
    auto below = TRY(cgroups_below(cgroup->borrow()));
    if (below.empty()) return {};
    walk.push_back(id);
    walk.push_back(kDescended);
    walk.insert(walk.end(), below.begin(), below.end());
    return {};
}

}  // namespace

Result<CgroupTree> CgroupTree::open() { return CgroupTree(TRY(open_cgroup_mount())); }

Result<CgroupId> CgroupTree::top() const { return cgroup_id(mount_.borrow()); }

Result<std::optional<Uid>> CgroupTree::owner(CgroupId id) const {
    auto cgroup = TRY(open_cgroup(mount_.borrow(), id));
    if (!cgroup) return std::optional<Uid>();
    auto st = TRY(sys::stat_fd(cgroup->borrow()));
    return std::optional(Uid(st.st_uid));
}

Result<std::optional<Cgroup>> CgroupTree::find(CgroupId id) const {
    auto cgroup = TRY(open_cgroup(mount_.borrow(), id));
    if (!cgroup) return std::optional<Cgroup>();
    return std::optional(TRY(Cgroup::from_descriptor(std::move(*cgroup))));
}

Result<CgroupRemoval> CgroupTree::remove(CgroupId id, CgroupWalk& walk, Effort& effort) const {
    // Whoever wrote this into a record: without the check all empty cgroups of the host would go.
    if (id == kTreeRoot || id == TRY(top())) return fail(EINVAL, "the root of the cgroup tree");
    if (walk.empty()) walk.push_back(id);
    do TRY(remove_next(mount_.borrow(), walk));
    while (!walk.empty() && may_go_on(effort));
    if (!walk.empty()) return CgroupRemoval::kInPart;
    auto left = TRY(open_cgroup(mount_.borrow(), id));
    return left ? CgroupRemoval::kBusy : CgroupRemoval::kGone;
}

// Each is opened by its id and looked at once, so a tree of any depth and shape costs two descriptors and eight bytes a
// cgroup. What somebody else makes below one that was looked at already has none of these ids: they are dead.
Result<CgroupsRetaken> CgroupTree::take_back(CgroupWalk& walk, const DeadIds& ids, Effort& effort) const {
    while (!walk.empty()) {
        auto cgroup = TRY(open_cgroup(mount_.borrow(), walk.back()));
        CgroupWalk below;
        if (cgroup) below = TRY(retake(cgroup->borrow(), ids));
        walk.pop_back();
        walk.insert(walk.end(), below.begin(), below.end());
        if (!may_go_on(effort) && !walk.empty()) return CgroupsRetaken::kInPart;
    }
    return CgroupsRetaken::kAll;
}

}  // namespace nsr::resources
