// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "varlink/message.h"

/// What the parameters of a method are, and how they are judged (interface.md section 1, Parameters of every method).
namespace nsr::varlink {

enum class Kind { kString, kInt, kBool, kStrings };
enum class Presence { kMandatory, kOptional };

/// Which integers are in bounds: from min to max, both included, without `hole`.
struct Bounds {
    int64_t min = 0;
    int64_t max = std::numeric_limits<int64_t>::max();
    int64_t hole = -1;
};

/// Anything that is not negative.
constexpr Bounds kAnySize{};
/// A uid, gid or the target of a range.
constexpr Bounds kIdBounds{0, 0xFFFFFFFELL, 0xFFFF};
/// The index of a descriptor, or a count in 32 bits.
constexpr Bounds kUint32Bounds{0, 0xFFFFFFFFLL};

/// One parameter of a method. What it points to must live as long as the Server.
struct Field {
    std::string_view name;
    Kind kind = Kind::kString;
    Presence presence = Presence::kMandatory;
    /// For kInt.
    Bounds bounds = {};
    /// For kString of an enumerated type: the values that exist. Empty: any string.
    std::span<const std::string_view> values = {};
};

/// The parameters of one call, seen through the fields of its method. null counts as absent.
class Parameters {
public:
    /// `fields` are in the order of the description; `duplicate` as in Request.
    Parameters(std::span<const Field> fields, json::object values, std::optional<std::string> duplicate = {})
        : fields_(fields), values_(std::move(values)), duplicate_(std::move(duplicate)) {}

    /// The first parameter that is missing or has the wrong JSON type, else one that came twice, else one that the
    /// method does not have. The name lives as long as this.
    std::optional<std::string_view> find_malformed() const;
    /// The first number that is out of bounds, or value of an enumerated type that does not exist; to be asked after
    /// find_malformed() found nothing.
    std::optional<std::string_view> find_out_of_bounds() const;

    /// Whether it was given, and is not null.
    bool has(std::string_view name) const;
    /// The value, or nothing where it was not given; to be asked after both checks found nothing. An integer within
    /// its bounds, whichever way it was written.
    std::optional<int64_t> integer(std::string_view name) const;
    std::optional<std::string_view> string(std::string_view name) const;
    std::optional<bool> boolean(std::string_view name) const;

private:
    const json::value* find(std::string_view name) const;

    std::span<const Field> fields_;
    json::object values_;
    std::optional<std::string> duplicate_;
};

}  // namespace nsr::varlink
