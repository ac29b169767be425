// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/interface_definition.h"

#include <algorithm>
#include <set>
#include <utility>

namespace nsr::varlink {

namespace {

constexpr std::string_view kBasicTypes[] = {"bool", "int", "float", "string", "object", "any"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// "InterfaceNotFound": of interfaces' members.
bool is_member_name(std::string_view name) {
    return !name.empty() && name[0] >= 'A' && name[0] <= 'Z' &&
           std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c); });
}

/// "userName": of fields and values.
bool is_field_name(std::string_view name) {
    return !name.empty() && is_letter(name[0]) && name.back() != '_' && !name.contains("__") &&
           std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

bool is_interface_name(std::string_view name) {
    bool characters =
        std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; });
    return characters && !name.empty() && is_letter(name.front()) && name.back() != '.' && name.contains('.') &&
           !name.contains("..") && !name.contains("-.") && !name.contains(".-");
}

class DefinitionParser {
public:
    explicit DefinitionParser(std::string_view text) : text_(text) {}

    Result<InterfaceDefinition> parse() {
        TRY(expect("interface"));
        definition_.name = TRY(word());
        if (!is_interface_name(definition_.name)) return wrong("not the name of an interface");
        TRY(end_line());
        while (!peek().empty()) TRY(member());
        for (const std::string& type : used_types_)
            if (std::ranges::find(definition_.enums, type, &DefinedEnum::name) == definition_.enums.end())
                return fail(EBADMSG, "type {} is not defined", type);
        return std::move(definition_);
    }

private:
    Failure wrong(std::string_view what) const { return fail(EBADMSG, "line {}: {}", line_, what); }

    void skip_space() {
        while (!text_.empty()) {
            if (text_[0] == '#') {
                text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
                continue;
            }
            if (text_[0] != ' ' && text_[0] != '\t' && text_[0] != '\n') return;
            if (text_[0] == '\n') line_++;
            text_.remove_prefix(1);
        }
    }

    /// The next word or sign, without taking it; empty at the end.
    std::string_view peek() {
        skip_space();
        for (std::string_view sign : {"->", "[string]", "[]", "(", ")", ",", ":", "?"})
            if (text_.starts_with(sign)) return text_.substr(0, sign.size());
        size_t size = 0;
        while (size < text_.size() && (is_letter(text_[size]) || is_digit(text_[size]) || text_[size] == '.' ||
                                       text_[size] == '-' || text_[size] == '_'))
            size++;
        // Something else: one character, which fits nowhere.
        return text_.substr(0, std::max(size, std::min<size_t>(1, text_.size())));
    }

    void take(std::string_view token) { text_.remove_prefix(token.size()); }

    Status expect(std::string_view token) {
        if (peek() != token) return wrong(fmt::format("{} expected", token));
        take(token);
        return {};
    }

    /// A member of the interface, and its name, end with their line.
    Status end_line() {
        size_t here = line_;
        if (!peek().empty() && line_ == here) return wrong("end of line expected");
        return {};
    }

    Result<std::string> word() {
        std::string_view token = peek();
        if (token.empty() || !(is_letter(token[0]))) return wrong("name expected");
        take(token);
        return std::string(token);
    }

    Status member() {
        std::string kind = TRY(word());
        std::string name = TRY(word());
        if (!is_member_name(name)) return wrong(fmt::format("{} is not the name of a member", name));
        if (!members_.insert(name).second) return wrong(fmt::format("{} is defined twice", name));
        if (kind == "method") {
            DefinedMethod method{std::move(name), TRY(fields()), {}};
            TRY(expect("->"));
            method.outputs = TRY(fields());
            definition_.methods.push_back(std::move(method));
        } else if (kind == "error") {
            definition_.errors.push_back({std::move(name), TRY(fields())});
        } else if (kind == "type") {
            definition_.enums.push_back({std::move(name), TRY(values())});
        } else {
            return wrong("method, error or type expected");
        }
        return end_line();
    }

    /// One or more things in parentheses, with commas between, each taken by `item`.
    template <class Item>
    Status list(Item item) {
        TRY(expect("("));
        if (peek() == ")") return expect(")");
        for (;;) {
            TRY(item());
            if (peek() != ",") return expect(")");
            take(",");
        }
    }

    Result<std::string> field_name(std::set<std::string>& known) {
        std::string name = TRY(word());
        if (!is_field_name(name)) return wrong(fmt::format("{} is not the name of a field", name));
        if (!known.insert(name).second) return wrong(fmt::format("{} comes twice", name));
        return name;
    }

    Result<std::vector<std::string>> values() {
        std::vector<std::string> result;
        std::set<std::string> known;
        auto item = [&]() -> Status {
            result.push_back(TRY(field_name(known)));
            return {};
        };
        TRY(list(item));
        if (result.empty()) return wrong("a type without values");
        return result;
    }

    Result<std::vector<DefinedField>> fields() {
        std::vector<DefinedField> result;
        std::set<std::string> known;
        auto item = [&]() -> Status {
            DefinedField field;
            field.name = TRY(field_name(known));
            TRY(expect(":"));
            TRY(type(field));
            result.push_back(std::move(field));
            return {};
        };
        TRY(list(item));
        return result;
    }

    Status type(DefinedField& field) {
        if (peek() == "?") {
            take("?");
            field.presence = Presence::kOptional;
        }
        while (peek() == "[]" || peek() == "[string]") {
            field.type += peek();
            take(peek());
        }
        std::string name = TRY(word());
        if (std::ranges::find(kBasicTypes, name) == std::end(kBasicTypes)) {
            if (!is_member_name(name)) return wrong(fmt::format("{} is no type", name));
            used_types_.insert(name);
        }
        field.type += name;
        return {};
    }

    std::string_view text_;
    size_t line_ = 1;
    InterfaceDefinition definition_;
    std::set<std::string> members_, used_types_;
};

std::string_view type_name(Kind kind) {
    switch (kind) {
        case Kind::kString:
            return "string";
        case Kind::kInt:
            return "int";
        case Kind::kBool:
            return "bool";
        case Kind::kStrings:
            return "[]string";
    }
    return "";
}

Status field_matches(const InterfaceDefinition& definition, const DefinedField& described, const Field& field) {
    if (described.name != field.name) return fail(EINVAL, "{} where {} is described", field.name, described.name);
    if (described.presence != field.presence) return fail(EINVAL, "{}: optional only on one side", field.name);
    if (field.values.empty()) {
        if (described.type == type_name(field.kind)) return {};
        return fail(EINVAL, "{}: {} where {} is described", field.name, type_name(field.kind), described.type);
    }
    auto type = std::ranges::find(definition.enums, described.type, &DefinedEnum::name);
    if (field.kind != Kind::kString || type == definition.enums.end() ||
        !std::ranges::equal(type->values, field.values))
        return fail(EINVAL, "{}: other values than {} has", field.name, described.type);
    return {};
}

}  // namespace

Result<InterfaceDefinition> parse_interface(std::string_view text) { return DefinitionParser(text).parse(); }

Status fields_match(std::string_view description, std::string_view method, std::span<const Field> fields) {
    InterfaceDefinition definition = TRY(parse_interface(description));
    auto found = std::ranges::find(definition.methods, method, &DefinedMethod::name);
    if (found == definition.methods.end()) return fail(EINVAL, "method {} is not described", method);
    for (size_t i = 0; i < std::min(fields.size(), found->inputs.size()); i++)
        TRY_WITHIN(method, field_matches(definition, found->inputs[i], fields[i]));
    if (fields.size() != found->inputs.size())
        return fail(EINVAL, "{}: {} parameters where {} are described", method, fields.size(), found->inputs.size());
    return {};
}

}  // namespace nsr::varlink
