// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::namespaces {

/// A user namespace, known by a descriptor whose kind and open flags have been proven. Holding one keeps the namespace
/// alive (user_namespaces(7)), so it must not outlive the call that it came with (doc/architecture.md, rule 7).
class UserNamespace {
public:
    /// Takes a descriptor from anywhere; after an error its caller still has it. Errors: EREMOTEIO for open flags other
    /// than those of a plain read-only open, EINVAL for anything that is not a user namespace.
    static Result<UserNamespace> from_descriptor(UniqueFd&& fd);
    /// The one that the calling process is in.
    static Result<UserNamespace> own();

    BorrowedFd fd() const { return fd_.borrow(); }
    const NsIdentity& identity() const { return identity_; }
    /// The uid that made the namespace, as the service's own namespace sees it (ioctl_ns(2), NS_GET_OWNER_UID).
    Result<Uid> owner() const;
    /// The namespace above (NS_GET_PARENT). EPERM for the initial one and for one that is not below the service's own.
    Result<UserNamespace> parent() const;

private:
    UserNamespace(UniqueFd fd, NsIdentity identity) : fd_(std::move(fd)), identity_(identity) {}

    UniqueFd fd_;
    NsIdentity identity_;
};

/// EREMOTEIO unless the descriptor was opened with no flags but `allowed` beside the access mode O_RDONLY: O_NONBLOCK,
/// O_APPEND, O_PATH and the like change what later system calls on it do.
Status require_plain_open_flags(BorrowedFd fd, int allowed = 0);

}  // namespace nsr::namespaces
