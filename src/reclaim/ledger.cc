// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <array>

#include "base/sys.h"
#include "ranges/user_table.h"
#include "registry/file_name.h"

namespace nsr::reclaim {

namespace {

/// A worker has thirty seconds for a request, and is killed soon after.
constexpr uint64_t kCallUsec = 32'000'000;

// Manager and workers hold this lock for as long as they live.
bool service_runs(BorrowedFd runtime) {
    auto fd = sys::open_at(runtime, "nsresource/instance", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) return fd.error().code() != ENOENT;
    return ::flock(fd->get(), LOCK_EX | LOCK_NB) < 0;
}

Result<UniqueFd> watch_registry(const registry::Store& store) {
    UniqueFd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!fd) return fail_errno(errno, "inotify");
    std::string path = fmt::format("/proc/self/fd/{}", store.registry_dir().get());
    if (::inotify_add_watch(fd.get(), path.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
        return fail_errno(errno, "watch the registry");
    return fd;
}

void note_file(std::string_view file, std::set<Uid>& starts) {
    using enum registry::FileKind;
    auto name = registry::parse_file_name(file);
    if (name.kind == kStart || name.kind == kStartGid || name.kind == kDelegate || name.kind == kDelegateGid)
        starts.insert(Uid(static_cast<uint32_t>(name.number)));
}

// Before they can be handed out, since then they name their next user. Without a table no service has run in this boot.
void forget_users(BorrowedFd dir, const std::vector<Uid>& starts) {
    auto users = ranges::UserTable::open(dir);
    if (!users) return;
    for (Uid start : starts) users->forget(start);
}

}  // namespace

Result<Ledger> Ledger::open(const std::string& runtime_dir, const std::string& state_dir) {
    UniqueFd state = TRY(sys::open_at(sys::kCwd, state_dir, O_RDONLY | O_DIRECTORY));
    TRY(sys::stat_at(state.borrow(), "used"));  // or it would be made
    // The service makes the record, before it hands out a range; by the tool it would be made at any time.
    auto before = TRY(ranges::UsedBefore::open(state.borrow()));
    if (TRY(before.record()) == ranges::UsedBefore::Record::kNone)
        return fail(EAGAIN, "which ranges were used before this boot is not recorded yet: start nsresourced once");
    UniqueFd runtime = TRY(sys::open_at(sys::kCwd, runtime_dir, O_RDONLY | O_DIRECTORY));
    auto used = TRY(ranges::UsedSet::open(state.borrow(), runtime.borrow()));
    auto store = TRY(registry::Store::open(runtime.borrow()));
    UniqueFd events = TRY(watch_registry(store));
    bool runs = service_runs(runtime.borrow());
    Ledger ledger(std::move(events), std::move(runtime), std::move(store), std::move(used),
                  runs ? sys::now_usec() + kCallUsec : 0);
    TRY(ledger.list());
    return ledger;
}

// The watch is there already: who is recorded after this is heard of.
Status Ledger::list() {
    std::set<Uid> taken;
    {
        auto lock = TRY(store_.lock());
        for (Uid start : TRY(store_.taken_starts())) taken.insert(start);
    }
    in_use_ = taken.size();
    for (const auto* pool : ranges::kPools) {
        auto handed_out = TRY(used_.handed_out(*pool));
        auto before = TRY(used_.used_before(*pool));
        for (uint32_t index = 0; index < pool->count(); index++)
            if (handed_out.test(index) && !taken.contains(pool->start_of(index)))
                (before.test(index) ? candidates_ : used_in_this_boot_).insert(pool->start_of(index));
    }
    return {};
}

Status Ledger::listen() {
    alignas(struct inotify_event) std::array<char, 65536> buffer;
    for (;;) {
        ssize_t size = ::read(events_.get(), buffer.data(), buffer.size());
        int code = errno;
        if (size < 0 && code == EAGAIN) return {};
        if (size < 0) return fail_errno(code, "changes of the registry");
        for (ssize_t at = 0; at < size;) {
            const auto* event = reinterpret_cast<const struct inotify_event*>(buffer.data() + at);
            if ((event->mask & (IN_Q_OVERFLOW | IN_IGNORED)) != 0)
                return fail(EOVERFLOW, "more has happened in the registry than can be followed");
            if (event->len > 0) note_file(event->name, handed_out_);
            at += static_cast<ssize_t>(sizeof(struct inotify_event) + event->len);
        }
    }
}

Status Ledger::wait_for_calls() {
    while (sys::now_usec() < calls_end_usec_ && service_runs(runtime_.borrow())) {
        struct pollfd wait{events_.get(), POLLIN, 0};
        TRY(sys::poll({&wait, 1}, 200'000));
        TRY(listen());
    }
    return {};
}

// The service may have been at another level when these were left, or other programs use the same ids.
Result<std::vector<Uid>> Ledger::unknown(const Findings& findings) const {
    std::vector<Uid> unknown;
    for (const auto& [start, holder] : findings.holders())
        if (TRY(used_.state_of(start)) == ranges::UsedSet::State::kUnused) unknown.push_back(start);
    return unknown;
}

Result<Ledger::Outcome> Ledger::settle(const Findings& findings, Change change) {
    TRY(listen());
    Outcome outcome;
    outcome.marked = TRY(unknown(findings));
    if (change != Change::kNone) TRY(used_.mark_used(outcome.marked));
    if (!findings.problems().empty() || change == Change::kMark) return outcome;
    for (Uid start : candidates_)
        if (!findings.holders().contains(start) && !handed_out_.contains(start) &&
            TRY(store_.range_taken(start)) == registry::Taken::kFree)
            outcome.freed.push_back(start);
    if (change == Change::kFree) forget_users(store_.state_dir(), outcome.freed);
    if (change == Change::kFree) TRY(used_.clear(outcome.freed));
    return outcome;
}

}  // namespace nsr::reclaim
