// SPDX-License-Identifier: LGPL-2.1-or-later
#include "user.h"

#include <unistd.h>
#include <cstdlib>

namespace nsr::bench {

namespace {

constexpr uint32_t kFirstUid = 200000;

// The rest of the program would measure something else than it says.
void require(int result) {
    if (result < 0) abort();
}

}  // namespace

ActAs::ActAs(Uid uid) {
    require(setegid(uid.value));
    require(seteuid(uid.value));
}

ActAs::~ActAs() {
    require(seteuid(0));
    require(setegid(0));
}

Uid next_user() {
    static uint32_t next = kFirstUid;
    return Uid(next++);
}

}  // namespace nsr::bench
