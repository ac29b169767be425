// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/leftovers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/walk_file.h"

namespace nsr::lifecycle {

namespace {

using resources::CgroupRemoval;
using resources::CgroupTree;
using resources::CgroupWalk;

/// For each user a directory, named by the uid; there for each cgroup a file, "<id>.<owner>". It holds where the
/// removal stands. One that is empty is at rest since it was changed.
constexpr char kDirectory[] = "cgroups";
constexpr uint64_t kTurnUsec = 25'000;
/// Between two attempts at a cgroup that is busy.
constexpr int64_t kRestNsec = 2'000'000'000;
/// A directory may go, empty, while a file is about to be made in it.
constexpr int kMaxRaces = 8;

std::string user_directory(Uid user) { return fmt::format("{}/{}", kDirectory, user); }

std::string file_of(const Leftover& leftover) {
    return fmt::format("{}/{}.{}", user_directory(leftover.user), leftover.id, leftover.owner);
}

std::optional<uint32_t> parse_uid(std::string_view text) {
    uint32_t uid = 0;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), uid);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
    return uid;
}

std::optional<Leftover> parse_file(std::string_view name, Uid user) {
    Leftover leftover{.id = {}, .owner = {}, .user = user};
    const char* end = name.data() + name.size();
    auto id = std::from_chars(name.data(), end, leftover.id.value);
    if (id.ec != std::errc() || id.ptr == end || *id.ptr != '.') return std::nullopt;
    auto owner = parse_uid({id.ptr + 1, end});
    if (!owner) return std::nullopt;
    leftover.owner = Uid(*owner);
    return leftover;
}

int64_t now_nsec() {
    timespec t{};
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

int64_t changed_nsec(const struct stat& st) { return st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec; }

// A clock that was set back must not let it rest for long.
bool is_due(const struct stat& st) {
    int64_t rested = now_nsec() - changed_nsec(st);
    return st.st_size > 0 || rested < 0 || rested >= kRestNsec;
}

Status make_file(BorrowedFd state, const Leftover& leftover) {
    TRY(sys::ensure_directory(state, kDirectory, 0755));
    TRY(sys::ensure_directory(state, user_directory(leftover.user), 0755));
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    auto file = sys::open_at(state, file_of(leftover), flags, 0644);
    if (!file && file.error().code() == EEXIST) return {};
    if (!file) return Failure(std::move(file).error());
    // It has never been tried, and need not rest.
    const timespec long_ago[2]{};
    futimens(file->get(), long_ago);
    return {};
}

}  // namespace

Status note_leftover(const Instance& instance, const Leftover& leftover) {
    Status made;
    for (int race = 0; race < kMaxRaces; ++race) {
        made = make_file(instance.store.state_dir(), leftover);
        if (made || made.error().code() != ENOENT) return made;
    }
    return made;
}

bool is_noted(const Instance& instance, const Leftover& leftover) {
    return sys::stat_at(instance.store.state_dir(), file_of(leftover)).has_value();
}

Result<CgroupRemoval> remove_own_cgroup(const CgroupTree& tree, const Leftover& cgroup, CgroupWalk& walk,
                                        CgroupTree::Effort& effort) {
    auto now = TRY(tree.owner(cgroup.id));
    // Given to root since it was noted, as a rule.
    bool is_own = now && (*now == cgroup.owner || *now == Uid(0));
    if (!is_own) return CgroupRemoval::kGone;
    return tree.remove(cgroup.id, walk, effort);
}

namespace {

/// The users that have something left, from the one whose turn is longest ago.
Result<std::vector<Uid>> users_in_turn(BorrowedFd state) {
    auto names = sys::list_directory(state, kDirectory);
    if (!names && names.error().code() == ENOENT) return std::vector<Uid>();
    if (!names) return Failure(std::move(names).error());
    std::vector<std::pair<int64_t, Uid>> by_time;
    for (const auto& name : *names) {
        auto uid = parse_uid(name);
        auto st = sys::stat_at(state, fmt::format("{}/{}", kDirectory, name));
        if (uid && st && S_ISDIR(st->st_mode)) by_time.emplace_back(changed_nsec(*st), Uid(*uid));
    }
    std::ranges::sort(by_time);
    std::vector<Uid> users;
    for (const auto& [time, uid] : by_time) users.push_back(uid);
    return users;
}

/// Removes what is left for one user until `end_usec`.
class Tidying {
public:
    Tidying(BorrowedFd state, const CgroupTree& tree, uint64_t end_usec)
        : state_(state), tree_(tree), end_usec_(end_usec) {}

    Result<Leftovers> go(Uid user);

private:
    Status go_on(const Leftover& leftover, const std::string& file);
    Status end(Uid user) const;

    BorrowedFd state_;
    const CgroupTree& tree_;
    uint64_t end_usec_;
};

Status Tidying::go_on(const Leftover& leftover, const std::string& file) {
    CgroupWalk walk = TRY(read_walk(state_, file));
    CgroupTree::Effort effort{.visits = SIZE_MAX, .end_usec = end_usec_};
    auto removal = remove_own_cgroup(tree_, leftover, walk, effort);
    if (!removal) log::warning("Cannot remove cgroup {}: {}", leftover.id, removal.error().what());
    bool is_hopeless = !removal && removal.error().code() == EINVAL;
    if (is_hopeless || (removal && *removal == CgroupRemoval::kGone)) return remove_walk(state_, file);
    if (!removal || *removal == CgroupRemoval::kBusy) walk.clear();
    return write_walk(state_, file, walk);
}

// The directory goes with its last file. Otherwise its time says that this user's turn is over.
Status Tidying::end(Uid user) const {
    std::string directory = user_directory(user);
    if (sys::unlink_at(state_, directory, AT_REMOVEDIR)) return {};
    int result = utimensat(state_.get(), directory.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
    int code = errno;
    if (result < 0 && code != ENOENT) return fail_errno(code, directory);
    return {};
}

Result<Leftovers> Tidying::go(Uid user) {
    auto left = Leftovers::kNone;
    for (const auto& name : TRY(sys::list_directory(state_, user_directory(user)))) {
        std::string file = fmt::format("{}/{}", user_directory(user), name);
        auto leftover = parse_file(name, user);
        if (!leftover) {
            TRY(sys::unlink_at(state_, file));  // half written by a worker that died
            continue;
        }
        auto st = TRY(sys::stat_at(state_, file));
        if (is_due(st)) TRY(go_on(*leftover, file));
        if (sys::now_usec() >= end_usec_) {
            left = Leftovers::kMore;
            break;
        }
        if (sys::stat_at(state_, file)) left = Leftovers::kBusy;
    }
    TRY(end(user));
    return left;
}

}  // namespace

Result<Leftovers> tidy(Instance& instance) {
    BorrowedFd state = instance.store.state_dir();
    auto users = TRY(users_in_turn(state));
    if (users.empty()) return Leftovers::kNone;
    auto tree = TRY(CgroupTree::open());
    Tidying tidying(state, tree, sys::now_usec() + kTurnUsec);
    auto all = Leftovers::kNone;
    for (Uid user : users) {
        auto left = TRY(tidying.go(user));
        if (left == Leftovers::kMore) return left;
        if (left == Leftovers::kBusy) all = left;
    }
    return all;
}

}  // namespace nsr::lifecycle
