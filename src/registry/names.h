// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace nsr::registry {

/// So that `ns-<name>-65535` has no more than the 31 characters of a strict user name.
inline constexpr size_t kMaxNameLength = 22;

enum class Mangle { kNo, kYes };

/// The one function that checks names of registrations: 1…22 characters of [a-zA-Z0-9_-].
bool is_valid_name(std::string_view name);

/// The name that a registration gets when `owner` asks for `requested` (interface.md section 2, "Names"): root's as it
/// is, others with `<uid>-` in front. With Mangle::kYes an unfit one is shortened or replaced by hex digits derived
/// from it and `connection_id`, which should be hard to guess and the same for the whole life of a connection. EINVAL:
/// unfit.
Result<std::string> final_name(std::string_view requested, Uid owner, Mangle mangle, uint64_t connection_id);

}  // namespace nsr::registry
