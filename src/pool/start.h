// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

namespace nsr::pool {

/// The descriptors that a worker finds open when it starts.
inline constexpr int kChannelFd = 3;
inline constexpr int kSlotFd = 4;
/// The lock that says that an instance is at work on the runtime directory. Workers inherit it, so that it is free only
/// when the last of them is gone.
inline constexpr int kInstanceLockFd = 5;
/// The maps of the kernel policy (policy/entries.h): only if the last argument begins with kWithEntries.
inline constexpr int kNamespacesFd = 6;
inline constexpr int kOwnersFd = 7;
inline constexpr int kCgroupsFd = 8;
inline constexpr int kMissedFd = 9;
inline constexpr int kBeatsFd = 11;
/// The memory in which all processes count the log lines that users cause (pool/log_quota.h).
inline constexpr int kLogQuotaFd = 10;
/// Followed by the ids of the programs that policy/missed_calls.h is about: "entries,12,34".
inline constexpr char kWithEntries[] = "entries";
inline constexpr char kWithoutEntries[] = "no-entries";

}  // namespace nsr::pool
