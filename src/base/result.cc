// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/result.h"

#include <cstring>

namespace nsr {

Failure fail_errno(int code, std::string_view context) {
    return fail(code, "{}: {}", context, strerrordesc_np(code) ? strerrordesc_np(code) : "unknown error");
}

std::string errno_name(int code) {
    const char* name = strerrorname_np(code);
    return name ? name : fmt::format("{}", code);
}

}  // namespace nsr
