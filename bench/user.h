// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/types.h"

namespace nsr::bench {

/// While this lives, the process acts as an unprivileged user: what it connects to sees this uid, and namespaces that
/// it makes are that user's. The process must be root's; it stays that in all else.
class ActAs {
public:
    explicit ActAs(Uid uid);
    ActAs(const ActAs&) = delete;
    ActAs& operator=(const ActAs&) = delete;
    ~ActAs();
};

/// A uid that this program has not used yet, so that no limit per uid is met. None of them is in a pool of the service.
Uid next_user();

}  // namespace nsr::bench
