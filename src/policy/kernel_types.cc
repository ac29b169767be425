// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/kernel_types.h"

namespace nsr::policy {

Result<KernelTypes> KernelTypes::load() {
    btf* types = btf__load_vmlinux_btf();
    if (!types) return fail(ENOTSUP, "the kernel has no type information in /sys/kernel/btf (CONFIG_DEBUG_INFO_BTF)");
    return KernelTypes(types);
}

uint32_t KernelTypes::function(const std::string& name) const {
    int id = btf__find_by_name_kind(btf_.get(), name.c_str(), BTF_KIND_FUNC);
    return id > 0 ? static_cast<uint32_t>(id) : 0;
}

uint32_t KernelTypes::parameter_count(const std::string& name) const {
    uint32_t id = function(name);
    if (id == 0) return 0;
    const btf_type* prototype = btf__type_by_id(btf_.get(), btf__type_by_id(btf_.get(), id)->type);
    return btf_vlen(prototype);
}

}  // namespace nsr::policy
