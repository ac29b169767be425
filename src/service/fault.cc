// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/fault.h"

#include "base/log.h"

namespace nsr::service {

Refusal refuse(std::string_view error) {
    return Refusal(varlink::Fault{fmt::format("io.systemd.NamespaceResource.{}", error), {}});
}

Refusal refuse_parameter(std::string_view name) { return Refusal(varlink::invalid_parameter(name)); }

Refusal refuse_permission() { return Refusal(varlink::permission_denied()); }

Refusal refuse_system(const Error& error) {
    log::warning("A call failed: {}", error.what());
    return Refusal(varlink::system_error(error.code()));
}

}  // namespace nsr::service
