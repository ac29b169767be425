// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "varlink/message.h"

namespace nsr::varlink {

/// What calls and answers have in common: a name, parameters, and flags.
struct Envelope {
    static constexpr size_t kMaxFlags = 3;

    /// The value of the string field, if it was there.
    std::optional<std::string> name;
    json::object parameters;
    std::optional<std::string> duplicate_parameter;
    /// By the order in EnvelopeFields::flags.
    std::array<bool, kMaxFlags> flags{};
};

/// The fields that an envelope may have, each at most once, besides "parameters".
struct EnvelopeFields {
    std::string_view name;
    std::span<const std::string_view> flags;
};

/// Reads one JSON text by the letter of RFC 8259 and by `fields`; EBADMSG says why it cannot be one. Exponents beyond
/// 32 bits are refused, as RFC 8259 section 6 allows.
Result<Envelope> parse_envelope(std::string_view text, const EnvelopeFields& fields);

}  // namespace nsr::varlink
