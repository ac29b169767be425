// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <linux/keyctl.h>
#include <cstdint>
#include <string>

#include "attempt.h"
#include "spaces.h"

namespace nsr::channels {

using Serial = int32_t;

/// keyctl(2) and add_key(2); negative: see errno.
long keyctl(int operation, long a = 0, long b = 0, long c = 0, long d = 0);
long text(const char* chars);
Serial add_key(const char* type, const char* name, Serial keyring);

/// A session of uid 1000 that was there before: its keyring is owned by that one. 0, or an errno value.
int join_as_user();
/// The first line of what has a transient id in the session keyring, or nothing.
std::string found_in_session();
/// Runs it inside, in that session, and looks afterwards what the session has.
Attempt in_session(const Space& space, const As& as, const Body& body);
/// A case's answer, and what was found in the session.
Attempt tried_in_session(int code, const Page& found);

}  // namespace nsr::channels
