// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/socket.h>
#include <span>
#include <vector>

#include "base/fd.h"

namespace nsr::varlink {

/// The most descriptors that the kernel passes with one sendmsg(2): its SCM_MAX_FD.
inline constexpr size_t kMaxFdsAtOnce = 253;

/// Room for the control data of one message with descriptors (unix(7), SCM_RIGHTS); must live as long as the message.
class FdBuffer {
public:
    /// For sending; nothing is attached where there are none. No more than kMaxFdsAtOnce.
    void attach(msghdr& message, std::span<const UniqueFd> fds);
    /// For receiving.
    void prepare(msghdr& message);

private:
    alignas(cmsghdr) char bytes_[CMSG_SPACE(sizeof(int) * kMaxFdsAtOnce)];
};

/// Owns every descriptor of a received message, before anything else is looked at.
std::vector<UniqueFd> own_fds(msghdr& message);

}  // namespace nsr::varlink
