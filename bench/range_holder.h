// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/types.h"
#include "child.h"

namespace nsr::bench {

/// A user whose namespace got 65,536 ids of the service. By those the user can act as that many uids.
class RangeHolder {
public:
    static Result<RangeHolder> create(const std::string& socket);

    Uid user() const { return user_; }
    BorrowedFd userns() const { return userns_.borrow(); }

    /// For a child process: becomes root of the namespace, which can take each id in it by act_as(). Ends the process
    /// if that fails.
    void join() const;
    /// For a child process: becomes the user, for good.
    void become_user() const;

private:
    RangeHolder(Uid user, UniqueFd userns) : user_(user), userns_(std::move(userns)) {}

    Uid user_;
    UniqueFd userns_;
};

/// For the root of a namespace: what it connects to from now on sees this id of the namespace.
void act_as(uint32_t id);

}  // namespace nsr::bench
