// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/spent_ranges.h"

#include <fcntl.h>

#include "base/sys.h"

namespace nsr::service {

namespace {

constexpr char kDirectory[] = "spent";

// The size of the file is the count: a byte is appended at once or not at all, whatever other workers do.
std::string file_of(const ranges::Pool& pool, Uid uid) { return fmt::format("{}/{}.{}", kDirectory, uid, pool.size); }

}  // namespace

Result<Allowance> allowance(const Context& context, const ranges::Pool& pool, Uid uid) {
    if (uid == Uid(0)) return Allowance::kLeft;
    auto st = sys::stat_at(context.store.state_dir(), file_of(pool, uid));
    if (!st && st.error().code() == ENOENT) return Allowance::kLeft;
    if (!st) return Failure(std::move(st).error());
    return static_cast<uint64_t>(st->st_size) < pool.count() / kUidsPerPool ? Allowance::kLeft : Allowance::kSpent;
}

Status note_spent(const Context& context, const ranges::Pool& pool, Uid uid) {
    if (uid == Uid(0)) return {};
    BorrowedFd state = context.store.state_dir();
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;
    auto fd = sys::open_at(state, file_of(pool, uid), flags, 0600);
    if (!fd && fd.error().code() == ENOENT) {
        TRY(sys::ensure_directory(state, kDirectory, 0700));
        fd = sys::open_at(state, file_of(pool, uid), flags, 0600);
    }
    if (!fd) return Failure(std::move(fd).error());
    return sys::write_all(fd->borrow(), "x");
}

}  // namespace nsr::service
