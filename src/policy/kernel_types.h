// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <memory>
#include <string>

#include <bpf/btf.h>

#include "base/result.h"

namespace nsr::policy {

/// What the running kernel says of its own types and functions (/sys/kernel/btf/vmlinux).
class KernelTypes {
public:
    /// ENOTSUP where it says nothing.
    static Result<KernelTypes> load();

    /// The id of a function that programs can be attached to; 0: there is none of this name.
    uint32_t function(const std::string& name) const;
    /// The same for a hook of the BPF security module.
    uint32_t hook(std::string_view name) const { return function(fmt::format("bpf_lsm_{}", name)); }
    /// 0 for a function that is not there.
    uint32_t parameter_count(const std::string& name) const;
    const btf* get() const { return btf_.get(); }

private:
    struct Free {
        void operator()(btf* types) const { btf__free(types); }
    };
    explicit KernelTypes(btf* types) : btf_(types) {}

    std::unique_ptr<btf, Free> btf_;
};

}  // namespace nsr::policy
