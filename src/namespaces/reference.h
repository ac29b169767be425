// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace nsr::namespaces {

/// An empty user namespace that lives exactly as long as this object. Whether the kernel finds it shows whether the
/// kernel would find another one: nothing about it is easier. It is not the process's own, for which the kernel asks
/// for no rights (nsfs_fh_to_dentry() in fs/nsfs.c). And no descriptor of it is open, which would keep the inode that
/// the kernel otherwise has to make for the answer: it is kept alive by a UTS namespace that it owns.
class Reference {
public:
    /// What clone(2) says, such as ENOSPC where there are too many user namespaces (user.max_user_namespaces).
    static Result<Reference> create();

    const NsIdentity& identity() const { return identity_; }

private:
    Reference(UniqueFd keeper, NsIdentity identity) : keeper_(std::move(keeper)), identity_(identity) {}

    UniqueFd keeper_;
    NsIdentity identity_;
};

}  // namespace nsr::namespaces
