// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/envelope.h"

#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace nsr::varlink {

namespace {

constexpr size_t kMaxDepth = 1024;

/// Boost.JSON rounds twice where a number has many digits or a large exponent, and 7.0 must be 7. What is too large for
/// a double stays infinite, what is too small stays different from 0.
double exact_double(std::string_view text, double approximate) {
    double value = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code == std::errc()) return value;
    if (std::abs(approximate) > 1) return std::copysign(std::numeric_limits<double>::infinity(), approximate);
    return std::copysign(std::numeric_limits<double>::denorm_min(), approximate);
}

enum class Purpose { kRead, kFindDuplicate };

/// Takes the events of the parser. Values below "parameters" are built on a stack; the fields of the envelope itself
/// are looked at as they come, so that nothing that comes twice can hide behind what came last.
class Handler {
public:
    static constexpr size_t max_object_size = json::object::max_size();
    static constexpr size_t max_array_size = json::array::max_size();
    static constexpr size_t max_key_size = json::string::max_size();
    static constexpr size_t max_string_size = json::string::max_size();

    using Code = json::error_code;
    using View = json::string_view;

    Handler(const EnvelopeFields& fields, Purpose purpose)
        : fields_(fields), purpose_(purpose), stack_(json::storage_ptr(), room_, sizeof room_) {
        stack_.reset();
    }

    std::string_view why() const { return why_; }
    const std::optional<std::string>& duplicate() const { return duplicate_; }
    size_t parameter_count() const { return parameter_count_; }

    Envelope release() {
        if (has_parameters_) envelope_.parameters = std::move(stack_.release().as_object());
        return std::move(envelope_);
    }

    bool on_document_begin(Code&) { return true; }
    bool on_document_end(Code&) { return true; }
    bool on_comment_part(View, Code&) { return true; }
    bool on_comment(View, Code&) { return true; }
    bool on_number_part(View, Code&) { return true; }

    bool on_object_begin(Code& code) {
        if (depth_ == 1 && slot_ != kParametersSlot) return mistyped(code);
        depth_++;
        return true;
    }
    bool on_object_end(size_t count, Code&) {
        depth_--;
        if (depth_ == 0) return true;
        stack_.push_object(count);
        if (depth_ == 1) {
            has_parameters_ = true;
            parameter_count_ = count;
        }
        return true;
    }
    bool on_array_begin(Code& code) {
        if (depth_ < 2) return mistyped(code);
        depth_++;
        return true;
    }
    bool on_array_end(size_t count, Code&) {
        depth_--;
        stack_.push_array(count);
        return true;
    }

    bool on_key_part(View part, size_t, Code& code) {
        if (has_nul(part)) return refuse(code, "a NUL in a name");
        if (gathers_key()) text_.append(part);
        if (depth_ > 1) stack_.push_chars(part);
        return true;
    }
    bool on_key(View part, size_t, Code& code) {
        if (has_nul(part)) return refuse(code, "a NUL in a name");
        if (gathers_key()) text_.append(part);
        if (depth_ > 1) stack_.push_key(part);
        std::string key = std::exchange(text_, {});
        if (depth_ == 1) return enter_field(key, code);
        if (gathers_key() && !names_.insert(key).second && !duplicate_) duplicate_ = std::move(key);
        return true;
    }

    bool on_string_part(View part, size_t, Code& code) {
        if (has_nul(part)) return refuse(code, "a NUL in a string");
        if (depth_ > 1)
            stack_.push_chars(part);
        else
            text_.append(part);
        return true;
    }
    bool on_string(View part, size_t, Code& code) {
        if (has_nul(part)) return refuse(code, "a NUL in a string");
        if (depth_ > 1) {
            stack_.push_string(part);
            return true;
        }
        if (depth_ == 0 || slot_ != kNameSlot) return mistyped(code);
        text_.append(part);
        envelope_.name = std::exchange(text_, {});
        return true;
    }
    bool on_bool(bool value, Code& code) {
        if (depth_ > 1) {
            stack_.push_bool(value);
            return true;
        }
        if (depth_ == 0 || slot_ < kFlagSlots) return mistyped(code);
        envelope_.flags[slot_ - kFlagSlots] = value;
        return true;
    }
    bool on_null(Code& code) {
        if (depth_ == 1 && slot_ == kParametersSlot) return true;
        if (depth_ < 2) return mistyped(code);
        stack_.push_null();
        return true;
    }
    bool on_int64(int64_t value, View, Code& code) {
        if (depth_ < 2) return mistyped(code);
        stack_.push_int64(value);
        return true;
    }
    bool on_uint64(uint64_t value, View, Code& code) {
        if (depth_ < 2) return mistyped(code);
        stack_.push_uint64(value);
        return true;
    }
    bool on_double(double value, View text, Code& code) {
        if (depth_ < 2) return mistyped(code);
        stack_.push_double(exact_double(text, value));
        return true;
    }

private:
    static constexpr size_t kNameSlot = 0, kParametersSlot = 1, kFlagSlots = 2;

    static bool has_nul(View part) { return part.find('\0') != View::npos; }
    bool gathers_key() const { return depth_ == 1 || (depth_ == 2 && purpose_ == Purpose::kFindDuplicate); }

    bool refuse(Code& code, std::string_view why) {
        why_ = why;
        code = json::error::syntax;
        return false;
    }
    bool mistyped(Code& code) {
        return refuse(code, depth_ == 0 ? "no JSON object" : "a field with a value of the wrong type");
    }

    bool enter_field(std::string_view key, Code& code) {
        if (key == fields_.name) {
            slot_ = kNameSlot;
        } else if (key == "parameters") {
            slot_ = kParametersSlot;
        } else {
            slot_ = kFlagSlots;
            for (std::string_view flag : fields_.flags) {
                if (key == flag) break;
                slot_++;
            }
            if (slot_ == kFlagSlots + fields_.flags.size()) return refuse(code, "a field that a message does not have");
        }
        if (seen_[slot_]) return refuse(code, "a field that comes twice");
        seen_[slot_] = true;
        return true;
    }

    EnvelopeFields fields_;
    Purpose purpose_;
    Envelope envelope_;
    std::string_view why_;
    size_t depth_ = 0;
    size_t slot_ = 0;
    std::array<bool, kFlagSlots + Envelope::kMaxFlags> seen_{};
    std::string text_;  // pieces of a name or string of the envelope itself
    bool has_parameters_ = false;
    size_t parameter_count_ = 0;
    std::set<std::string> names_;  // ordered: nobody can choose names that make it slow, as with a hash
    std::optional<std::string> duplicate_;
    unsigned char room_[2048];  // for the stack, so that a usual message needs no allocation there
    json::value_stack stack_;
};

Status run(json::basic_parser<Handler>& parser, std::string_view text) {
    json::error_code code;
    size_t used = parser.write_some(false, text.data(), text.size(), code);
    if (!code && used < text.size()) code = json::error::extra_data;
    if (!code) return {};
    std::string_view why = parser.handler().why();
    return fail(EBADMSG, "not a valid message, at byte {}: {}", used, why.empty() ? code.message() : std::string(why));
}

json::parse_options options() {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    return options;
}

}  // namespace

Result<Envelope> parse_envelope(std::string_view text, const EnvelopeFields& fields) {
    json::basic_parser<Handler> parser(options(), fields, Purpose::kRead);
    TRY(run(parser, text));
    size_t sent = parser.handler().parameter_count();
    Envelope envelope = parser.handler().release();
    if (envelope.parameters.size() == sent) return envelope;
    // An object keeps the last of several values of one name. Which name it was takes a second look.
    json::basic_parser<Handler> second(options(), fields, Purpose::kFindDuplicate);
    TRY(run(second, text));
    envelope.duplicate_parameter = second.handler().duplicate();
    return envelope;
}

}  // namespace nsr::varlink
