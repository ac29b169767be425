// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "namespaces/reference.h"
#include "namespaces/user_namespace.h"

struct file_handle;

namespace nsr::namespaces {

enum class Life { kAlive, kDead, kUnknown };

/// Tells whether a user namespace still exists, without keeping it alive: by its nsfs file handle, which the kernel
/// (6.18 and newer) answers with ESTALE once the namespace is gone (open_by_handle_at(2)). The kernel says ESTALE for
/// most other errors, too, such as a lack of rights (do_handle_to_path() in fs/fhandle.c). So a death counts only if a
/// namespace that certainly lives is found right after the answer, and the answer is the same once more after that.
class Prober {
public:
    /// open_by_handle_at(2), or what a test puts in its place.
    using OpenByHandle = std::function<int(int mount, struct file_handle* handle, int flags)>;

    /// Finds out whether this kernel can do it; where not, every answer is kUnknown.
    static Result<Prober> create(OpenByHandle open_by_handle = nullptr);

    bool works() const { return static_cast<bool>(nsfs_); }
    /// Whether the kernel can tell at this moment which namespaces are dead: the error says why not.
    Status verify() const;
    /// The namespace itself. Nothing: it is dead. ENOTSUP where this kernel cannot tell, or the identity has no 64-bit
    /// id; EAGAIN where it cannot tell at present.
    Result<std::optional<UserNamespace>> open(const NsIdentity& identity) const;
    /// One system call if it does not live, and some more to prove that; two if it lives. kUnknown for an identity
    /// without a 64-bit id.
    Life probe(const NsIdentity& identity) const;

private:
    /// Made again later where it cannot be made at first.
    struct Control {
        std::optional<Reference> reference;
        uint64_t not_before_usec = 0;
    };

    Prober(UniqueFd nsfs, OpenByHandle open_by_handle)
        : nsfs_(std::move(nsfs)), open_by_handle_(std::move(open_by_handle)), control_(std::make_unique<Control>()) {}

    Result<UniqueFd> look_up(const NsIdentity& identity) const;
    bool is_proven_dead(const NsIdentity& identity) const;

    UniqueFd nsfs_;
    OpenByHandle open_by_handle_;
    std::unique_ptr<Control> control_;
};

}  // namespace nsr::namespaces
