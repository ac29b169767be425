// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::resources {

/// A network namespace, known by a descriptor whose kind and open flags have been proven. It keeps its user namespace
/// alive, so it must not outlive the call that it came with.
class NetworkNamespace {
public:
    /// Takes a descriptor from anywhere; after an error its caller still has it. Errors: EREMOTEIO for open flags other
    /// than those of a plain read-only open, EINVAL for anything that is not a network namespace and for the service's
    /// own, EPERM for one whose owner is neither the service's user namespace nor below it.
    static Result<NetworkNamespace> from_descriptor(UniqueFd&& fd);

    BorrowedFd fd() const { return fd_.borrow(); }
    /// The user namespace that owns it (ioctl_ns(2), NS_GET_USERNS).
    const NsIdentity& owner() const { return owner_; }

private:
    NetworkNamespace(UniqueFd fd, NsIdentity owner) : fd_(std::move(fd)), owner_(owner) {}

    UniqueFd fd_;
    NsIdentity owner_;
};

}  // namespace nsr::resources
