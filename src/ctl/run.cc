// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <unistd.h>
#include <cstdlib>

#include "base/log.h"
#include "ctl/enter.h"
#include "ctl/prepare.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

/// Whom the command becomes: the first of its ids. Nothing where `type: self` cannot have that one.
std::optional<InsideIds> ids_inside(const RunVerb& verb, Uid caller) {
    if (verb.type == RangeType::kManaged || verb.target == 0) return InsideIds{Uid(verb.target), Gid(verb.target)};
    if (verb.target != caller.value) return std::nullopt;
    return InsideIds{caller, Gid(::getegid())};
}

/// The command finds the descriptor by a variable, since it may have others from its caller.
Status leave_open_for_command(const Tap& tap) {
    if (::fcntl(tap.fd.get(), F_SETFD, 0) < 0) return fail_errno(errno, "cannot pass on the tap interface");
    if (::setenv("NSRESOURCE_TAP_FD", fmt::format("{}", tap.fd.get()).c_str(), 1) < 0 ||
        ::setenv("NSRESOURCE_TAP_NAME", tap.name.c_str(), 1) < 0)
        return fail_errno(errno, "cannot name the tap interface");
    return {};
}

}  // namespace

Result<int> run(const Setting& setting, const RunVerb& verb) {
    const Uid caller(::geteuid());
    const auto ids = ids_inside(verb, caller);
    if (!ids) {
        log::error("--target: with --type=self it is 0 or your own uid, {}", caller);
        return kWrongUsage;
    }
    const Prepared prepared = TRY(prepare(setting, verb, caller));
    TRY(become_inside(*ids, verb.type == RangeType::kSelf ? Groups::kKept : Groups::kDropped));
    if (prepared.cgroup) TRY(prepared.cgroup->enter_leaf());
    TRY(enter_new_mount_namespace());
    if (prepared.tap) TRY(leave_open_for_command(*prepared.tap));
    return execute(verb.command);
}

}  // namespace nsr::ctl
