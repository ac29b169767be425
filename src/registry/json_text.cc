// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/json_text.h"

#include <cmath>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>

namespace nsr::registry {

namespace json = boost::json;

namespace {

// Boost's parser takes the last of two fields with one name without a word, and this counts what the text really has:
// two readers of a record that believe different fields would not agree on who holds a range.
struct Inspector {
    static constexpr size_t max_object_size = static_cast<size_t>(-1);
    static constexpr size_t max_array_size = static_cast<size_t>(-1);
    static constexpr size_t max_key_size = static_cast<size_t>(-1);
    static constexpr size_t max_string_size = static_cast<size_t>(-1);
    size_t keys = 0;
    size_t infinite_numbers = 0;

    using Code = boost::json::error_code;
    static bool on_document_begin(Code&) { return true; }
    static bool on_document_end(Code&) { return true; }
    static bool on_object_begin(Code&) { return true; }
    static bool on_object_end(size_t, Code&) { return true; }
    static bool on_array_begin(Code&) { return true; }
    static bool on_array_end(size_t, Code&) { return true; }
    static bool on_key_part(json::string_view, size_t, Code&) { return true; }
    bool on_key(json::string_view, size_t, Code&) {
        ++keys;
        return true;
    }
    static bool on_string_part(json::string_view, size_t, Code&) { return true; }
    static bool on_string(json::string_view, size_t, Code&) { return true; }
    static bool on_number_part(json::string_view, Code&) { return true; }
    static bool on_int64(int64_t, json::string_view, Code&) { return true; }
    static bool on_uint64(uint64_t, json::string_view, Code&) { return true; }
    bool on_double(double number, json::string_view, Code&) {
        if (!std::isfinite(number)) ++infinite_numbers;
        return true;
    }
    static bool on_bool(bool, Code&) { return true; }
    static bool on_null(Code&) { return true; }
    static bool on_comment_part(json::string_view, Code&) { return true; }
    static bool on_comment(json::string_view, Code&) { return true; }
};

size_t keys_in(const json::value& value) {
    size_t keys = 0;
    if (const json::object* object = value.if_object()) {
        keys = object->size();
        for (const auto& field : *object) keys += keys_in(field.value());
    } else if (const json::array* array = value.if_array()) {
        for (const auto& element : *array) keys += keys_in(element);
    }
    return keys;
}

Inspector inspect(std::string_view text) {
    json::basic_parser<Inspector> parser{json::parse_options{}};
    json::error_code code;
    parser.write_some(false, text.data(), text.size(), code);
    return parser.handler();
}

}  // namespace

Result<json::object> parse_object(std::string_view text, const json::storage_ptr& storage) {
    json::error_code code;
    json::value value = json::parse(json::string_view(text.data(), text.size()), code, storage);
    if (code) return fail(EBADMSG, "not valid JSON: {}", code.message());
    if (!value.is_object()) return fail(EBADMSG, "not a JSON object");
    Inspector seen = inspect(text);
    if (seen.infinite_numbers > 0) return fail(EBADMSG, "a number is too large");
    if (keys_in(value) != seen.keys) return fail(EBADMSG, "a field is there twice");
    return std::move(value.get_object());
}

const json::value* find_field(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
    return value && !value->is_null() ? value : nullptr;
}

Result<uint64_t> to_number(const json::value& value, std::string_view key, Bounds bounds) {
    uint64_t number = 0;
    if (value.is_uint64())
        number = value.get_uint64();
    else if (value.is_int64() && value.get_int64() >= 0)
        number = static_cast<uint64_t>(value.get_int64());
    else
        return fail(EBADMSG, "{} is not a number that is allowed there", key);
    if (number < bounds.min || number > bounds.max) return fail(EBADMSG, "{} is out of range", key);
    return number;
}

Result<uint64_t> read_number(const json::object& object, std::string_view key, Bounds bounds) {
    const json::value* value = find_field(object, key);
    if (!value) return fail(EBADMSG, "{} is missing", key);
    return to_number(*value, key, bounds);
}

Result<uint64_t> read_number_or(const json::object& object, std::string_view key, Bounds bounds, uint64_t fallback) {
    const json::value* value = find_field(object, key);
    if (!value) return fallback;
    return to_number(*value, key, bounds);
}

Result<const json::array*> read_list(const json::object& object, std::string_view key, size_t max_length) {
    const json::value* value = find_field(object, key);
    if (!value) return nullptr;
    const json::array* list = value->if_array();
    if (!list) return fail(EBADMSG, "{} is not a list", key);
    if (list->size() > max_length) return fail(EBADMSG, "{} has more than {} elements", key, max_length);
    return list;
}

}  // namespace nsr::registry
