// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/result.h"

/// Reading of hostile JSON objects. Every error is EBADMSG and names the field. null counts as absent.
namespace nsr::registry {

/// An inclusive interval of integers that a field may have.
struct Bounds {
    uint64_t min;
    uint64_t max;
};

/// One JSON object and nothing else, no deeper than 32 levels, no key twice in one object. Lives in `storage`.
Result<boost::json::object> parse_object(std::string_view text, const boost::json::storage_ptr& storage);

/// The value of a field, or nullptr where it is absent.
const boost::json::value* find_field(const boost::json::object& object, std::string_view key);
/// The value as an integer; `key` is for the error.
Result<uint64_t> to_number(const boost::json::value& value, std::string_view key, Bounds bounds);
Result<uint64_t> read_number(const boost::json::object& object, std::string_view key, Bounds bounds);
Result<uint64_t> read_number_or(const boost::json::object& object, std::string_view key, Bounds bounds,
                                uint64_t fallback);
/// The array under `key`, or nullptr where it is absent.
Result<const boost::json::array*> read_list(const boost::json::object& object, std::string_view key, size_t max_length);

}  // namespace nsr::registry
