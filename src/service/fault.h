// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/result.h"
#include "varlink/server.h"

namespace nsr::service {

/// A value, or what the caller is told instead; must be looked at: a check of authority that is not would allow
/// everything. TRY passes the fault on.
template <class T>
class [[nodiscard]] OrFault : public std::expected<T, varlink::Fault> {
public:
    using std::expected<T, varlink::Fault>::expected;
};

using Refusal = std::unexpected<varlink::Fault>;

/// An error of io.systemd.NamespaceResource without parameters ("NameExists").
Refusal refuse(std::string_view error);
Refusal refuse_parameter(std::string_view name);
Refusal refuse_permission();
/// A failure of the system: logged here, with its sentence; the caller is told the errno value only.
Refusal refuse_system(const Error& error);

/// The value of a Result, or leave the function with io.systemd.System.
#define TRY_SYSTEM(expression)                                                                  \
    __extension__({                                                                             \
        auto try_result_ = (expression);                                                        \
        if (!try_result_) return ::nsr::service::refuse_system(std::move(try_result_).error()); \
        *std::move(try_result_);                                                                \
    })

}  // namespace nsr::service
