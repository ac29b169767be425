// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "namespaces/user_namespace.h"

namespace nsr::namespaces {

enum class Life { kAlive, kDead, kUnknown };

/// Tells whether a user namespace still exists, without keeping it alive: by its nsfs file handle, which the kernel
/// (6.18 and newer) answers with ESTALE once the namespace is gone (open_by_handle_at(2)).
class Prober {
public:
    /// Finds out whether this kernel can do it; where not, every answer is kUnknown.
    static Result<Prober> create();

    bool works() const { return static_cast<bool>(nsfs_); }
    /// The namespace itself. Nothing: it is dead. ENOTSUP where this kernel cannot tell, or the identity has no 64-bit
    /// id.
    Result<std::optional<UserNamespace>> open(const NsIdentity& identity) const;
    /// One system call, or two if it lives. kUnknown for an identity without a 64-bit id.
    Life probe(const NsIdentity& identity) const;

private:
    explicit Prober(UniqueFd nsfs) : nsfs_(std::move(nsfs)) {}

    UniqueFd nsfs_;
};

}  // namespace nsr::namespaces
