// SPDX-License-Identifier: LGPL-2.1-or-later
#include "range_holder.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <csignal>

#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "user.h"

namespace nsr::bench {

namespace {

// The kernel forgets the signal of the parent's death whenever ids change.
void end_with_parent() { prctl(PR_SET_PDEATHSIG, SIGKILL); }

void require(bool good) {
    if (!good) _exit(EXIT_FAILURE);
}

}  // namespace

Result<RangeHolder> RangeHolder::create(const std::string& socket) {
    Uid user = next_user();
    auto namespaces = TRY(make_user_namespaces(user, 1));
    ActAs as(user);
    TRY(ask_once(socket, allocate_request(), namespaces.front().borrow()));
    return RangeHolder(user, std::move(namespaces.front()));
}

void RangeHolder::join() const {
    require(setns(userns_.get(), CLONE_NEWUSER) == 0 && setgroups(0, nullptr) == 0);
    require(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
    end_with_parent();
}

void RangeHolder::become_user() const {
    require(setgroups(0, nullptr) == 0);
    require(setresgid(user_.value, user_.value, user_.value) == 0);
    require(setresuid(user_.value, user_.value, user_.value) == 0);
    // The files of its own children in /proc would be root's.
    prctl(PR_SET_DUMPABLE, 1);
    end_with_parent();
}

void act_as(uint32_t id) {
    require(seteuid(0) == 0 && seteuid(id) == 0);
    end_with_parent();
}

}  // namespace nsr::bench
