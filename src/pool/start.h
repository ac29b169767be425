// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

namespace nsr::pool {

/// The descriptors that a worker finds open when it starts.
inline constexpr int kChannelFd = 3;
inline constexpr int kSlotFd = 4;
/// The lock that says that an instance is at work on the runtime directory. Workers inherit it, so that it is free only
/// when the last of them is gone.
inline constexpr int kInstanceLockFd = 5;

}  // namespace nsr::pool
