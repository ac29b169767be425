// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/user_names.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "ranges/pool.h"
#include "registry/names.h"

namespace nsr::service {

namespace {

bool is_digits(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Plain decimal: no sign, no leading zero.
std::optional<uint32_t> parse_offset(std::string_view text) {
    if (text.empty() || !is_digits(text) || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    uint32_t offset = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), offset);
    if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return offset;
}

using registry::Registration;

Result<std::optional<Member>> find_by_name(Context& context, std::string_view name) {
    auto parts = parse_member_name(name);
    if (!parts) return std::optional<Member>();
    auto registration = TRY(context.store.find_by_name(parts->registration));
    if (!registration || !registration->range || parts->offset >= registration->range->size)
        return std::optional<Member>();
    return std::optional(Member{std::move(*registration), parts->offset});
}

Result<std::optional<Member>> find_by_id(Context& context, uint32_t id, Database database) {
    auto start = ranges::range_start_of(id);
    if (!start) return std::optional<Member>();
    auto registration = database == Database::kUsers ? TRY(context.store.find_by_start(*start))
                                                     : TRY(context.store.find_by_start_gid(Gid(start->value)));
    if (!registration || !registration->range || id - start->value >= registration->range->size)
        return std::optional<Member>();
    return std::optional(Member{std::move(*registration), id - start->value});
}

uint32_t id_of(const Member& member, Database database) {
    const auto& range = *member.registration.range;
    return (database == Database::kUsers ? range.start.value : range.start_gid.value) + member.offset;
}

}  // namespace

bool is_possible_user_name(std::string_view name) {
    if (name.empty() || name == "." || name == "..") return false;
    if (is_digits(name) || (name[0] == '-' && is_digits(name.substr(1)))) return false;
    if (is_space(name.front()) || is_space(name.back())) return false;
    return std::ranges::none_of(name, [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f || c == ':' || c == '/';
    });
}

std::optional<MemberName> parse_member_name(std::string_view name) {
    constexpr std::string_view kPrefix = "ns-";
    size_t dash = name.rfind('-');
    if (!name.starts_with(kPrefix) || dash < kPrefix.size()) return std::nullopt;
    auto offset = parse_offset(name.substr(dash + 1));
    std::string_view registration = name.substr(kPrefix.size(), dash - kPrefix.size());
    if (!offset || !registry::is_valid_name(registration)) return std::nullopt;
    return MemberName{registration, *offset};
}

Refusal refuse_look_up(std::string_view error) {
    return Refusal(varlink::Fault{fmt::format("io.systemd.UserDatabase.{}", error), {}});
}

OrFault<LookUp> read_look_up(const varlink::Call& call, std::string_view id_field, std::string_view name_field,
                             std::span<const std::string_view> unsupported) {
    const auto& parameters = call.parameters;
    for (std::string_view field : unsupported)
        if (parameters.has(field)) return refuse_parameter(field);
    LookUp look_up{.id = {}, .name = parameters.string(name_field)};
    if (auto id = parameters.integer(id_field)) look_up.id = static_cast<uint32_t>(*id);
    if (look_up.name && !is_possible_user_name(*look_up.name)) return refuse_parameter(name_field);
    if (*parameters.string("service") != kServiceName) return refuse_look_up("BadService");
    return look_up;
}

OrFault<Member> find_member(Context& context, const LookUp& look_up, Database database) {
    if (!look_up.name && !look_up.id) return refuse_look_up("EnumerationNotSupported");
    auto member = look_up.name ? find_by_name(context, *look_up.name) : find_by_id(context, *look_up.id, database);
    if (!member) log::warning("Cannot read a record of the registry: {}", member.error().what());
    if (!member || !*member) return refuse_look_up("NoRecordFound");
    if (look_up.id && id_of(**member, database) != *look_up.id) return refuse_look_up("ConflictingRecordFound");
    return std::move(**member);
}

std::string_view disposition(const Member& member) {
    return member.registration.range->size == 1 ? "dynamic" : "container";
}

std::string member_name(const Member& member) {
    return fmt::format("ns-{}-{}", member.registration.name, member.offset);
}

std::string description(const Member& member, std::string_view kind) {
    if (member.registration.range->size == 1) return fmt::format("Allocated Namespace {}", member.registration.name);
    return fmt::format("{} {} of Allocated Namespace {}", kind, member.offset, member.registration.name);
}

}  // namespace nsr::service
