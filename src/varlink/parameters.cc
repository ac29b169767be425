// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace nsr::varlink {

namespace {

/// An integer in JSON, in whichever of its forms. What does not fit 64 bits is still an integer, out of every bounds.
struct Integer {
    enum class Shape { kMistyped, kHuge, kFits } shape = Shape::kMistyped;
    int64_t value = 0;
};

constexpr Integer kHugeInteger{Integer::Shape::kHuge, 0};

Integer from_double(double d) {
    if (std::isinf(d)) return kHugeInteger;
    if (std::trunc(d) != d) return {};
    // 2^63 is the first double that does not fit, and -2^63 the last one that does.
    if (d < -0x1p63 || d >= 0x1p63) return kHugeInteger;
    return {Integer::Shape::kFits, static_cast<int64_t>(d)};
}

Integer from_digits(std::string_view text) {
    bool digits = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return {};
    int64_t value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc()) return kHugeInteger;
    return {Integer::Shape::kFits, value};
}

std::string_view text_of(const json::value& value) {
    const json::string& string = value.get_string();
    return {string.data(), string.size()};
}

Integer to_integer(const json::value& value) {
    switch (value.kind()) {
        case json::kind::int64:
            return {Integer::Shape::kFits, value.get_int64()};
        case json::kind::uint64:
            return kHugeInteger;  // the parser uses it only for what is larger than the largest int64
        case json::kind::double_:
            return from_double(value.get_double());
        case json::kind::string:
            return from_digits(text_of(value));
        default:
            return {};
    }
}

enum class Fit { kYes, kNo };

Fit type_fits(Kind kind, const json::value& value) {
    auto fit = [](bool yes) { return yes ? Fit::kYes : Fit::kNo; };
    switch (kind) {
        case Kind::kString:
            return fit(value.is_string());
        case Kind::kInt:
            return fit(to_integer(value).shape != Integer::Shape::kMistyped);
        case Kind::kBool:
            return fit(value.is_bool());
        case Kind::kStrings:
            return fit(value.is_array() && std::ranges::all_of(value.get_array(), [](const json::value& each) {
                           return each.is_string();
                       }));
    }
    return Fit::kNo;
}

Fit value_fits(const Field& field, const json::value& value) {
    if (field.kind == Kind::kInt) {
        Integer integer = to_integer(value);
        bool inside = integer.shape == Integer::Shape::kFits && integer.value >= field.bounds.min &&
                      integer.value <= field.bounds.max && integer.value != field.bounds.hole;
        return inside ? Fit::kYes : Fit::kNo;
    }
    if (field.kind == Kind::kString && !field.values.empty())
        return std::ranges::find(field.values, text_of(value)) != field.values.end() ? Fit::kYes : Fit::kNo;
    return Fit::kYes;
}

std::string_view view(json::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::optional<std::string_view> Parameters::find_malformed() const {
    for (const Field& field : fields_) {
        const json::value* value = find(field.name);
        if (!value && field.presence == Presence::kMandatory) return field.name;
        if (value && type_fits(field.kind, *value) == Fit::kNo) return field.name;
    }
    if (duplicate_) return *duplicate_;
    for (const json::key_value_pair& pair : values_)
        if (std::ranges::find(fields_, view(pair.key()), &Field::name) == fields_.end()) return view(pair.key());
    return {};
}

std::optional<std::string_view> Parameters::find_out_of_bounds() const {
    for (const Field& field : fields_) {
        const json::value* value = find(field.name);
        if (value && value_fits(field, *value) == Fit::kNo) return field.name;
    }
    return {};
}

bool Parameters::has(std::string_view name) const { return find(name) != nullptr; }

std::optional<int64_t> Parameters::integer(std::string_view name) const {
    const json::value* value = find(name);
    if (!value) return {};
    Integer integer = to_integer(*value);
    if (integer.shape != Integer::Shape::kFits) return {};
    return integer.value;
}

std::optional<std::string_view> Parameters::string(std::string_view name) const {
    const json::value* value = find(name);
    if (!value || !value->is_string()) return {};
    return text_of(*value);
}

std::optional<bool> Parameters::boolean(std::string_view name) const {
    const json::value* value = find(name);
    if (!value || !value->is_bool()) return {};
    return value->get_bool();
}

const json::value* Parameters::find(std::string_view name) const {
    const json::value* value = values_.if_contains(json::string_view(name.data(), name.size()));
    return value && !value->is_null() ? value : nullptr;
}

}  // namespace nsr::varlink
