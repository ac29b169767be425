// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/startup.h"

#include <fcntl.h>
#include <unistd.h>
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "manager/instance_lock.h"
#include "ranges/user_copy.h"

namespace nsr::manager {

namespace {

constexpr uint64_t kLockUsec = 10'000'000;

Result<UniqueFd> make_directory(const std::string& path, mode_t mode) {
    TRY(sys::ensure_directory(sys::kCwd, path, mode));
    return sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
}

constexpr char kManagerLock[] = "nsresource/manager";
constexpr char kInstanceLock[] = "nsresource/instance";

Result<UniqueFd> lock_manager(BorrowedFd runtime) {
    auto fd = take_lock(runtime, kManagerLock, kLockUsec);
    if (!fd && fd.error().code() == ETIMEDOUT) return fail(EBUSY, "another instance uses this runtime directory");
    return fd;
}

// Workers hold it too, so that it is free only when the last one is gone: one of a killed manager's that is still at
// work would write maps for a record that the new manager has just taken back. They are killed along with their
// manager, so that this is not for long.
Result<UniqueFd> lock_instance(BorrowedFd runtime) { return take_lock(runtime, kInstanceLock, kLockUsec); }

}  // namespace

Result<Premises> enter_premises(const Options& options) {
    Premises premises;
    premises.runtime = TRY(make_directory(options.runtime_dir, 0755));
    premises.state = TRY(make_directory(options.state_dir, 0755));
    TRY(sys::ensure_directory(premises.runtime.borrow(), "nsresource", 0755));
    premises.manager_lock = TRY(lock_manager(premises.runtime.borrow()));
    premises.instance_lock = TRY(lock_instance(premises.runtime.borrow()));
    return premises;
}

Status begin_boot(const Premises& premises, policy::Level level) {
    using enum ranges::UsedBefore::Reuse;
    if (level == policy::Level::kRefuse) return {};
    return ranges::UsedBefore::begin_boot(premises.state.borrow(), premises.runtime.borrow(),
                                          level == policy::Level::kNone ? kAtOnce : kAfterReclaim);
}

// Ranges are marked ahead in a gap, too.
Status leave_state(lifecycle::Instance& context, const KernelSide& kernel) {
    if (context.level != policy::Level::kQuarantine && !kernel.gap()) return {};
    if (!context.used_set) return {};
    Status saved = ranges::save_users(context.users, context.state_dir.borrow());
    if (!saved) log::warning("Cannot keep the table of users for the next boot: {}", saved.error().what());
    return context.used_set->give_back();
}

}  // namespace nsr::manager
