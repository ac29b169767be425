// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/registration.h"

#include <algorithm>
#include <array>

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>

#include "registry/json_text.h"
#include "registry/names.h"

namespace nsr::registry {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 13> kKnownFields{"owner",   "name",   "userns",   "usernsId",  "size",
                                                        "start",   "target", "startGid", "targetGid", "setgroupsDeny",
                                                        "cgroups", "netifs", "delegates"};

constexpr Bounds kAnyId{0, 0xFFFFFFFEu};
constexpr Bounds kAnyInode{1, UINT64_MAX};
constexpr size_t kMaxInterfaceName = 15;  // IFNAMSIZ without the NUL

Result<uint32_t> read_id(const json::object& object, std::string_view key) {
    uint64_t id = TRY(read_number(object, key, kAnyId));
    if (!is_valid_id(id)) return fail(EBADMSG, "{} is no valid id", key);
    return static_cast<uint32_t>(id);
}

Result<uint32_t> read_id_or(const json::object& object, std::string_view key, uint32_t fallback) {
    if (!find_field(object, key)) return fallback;
    return read_id(object, key);
}

// A sum that wrapped around would make a range seem free that is not.
Status check_end(uint64_t first, uint64_t size, std::string_view key) {
    if (first + size <= 0xFFFFFFFFu) return {};
    return fail(EBADMSG, "the range that begins at {} goes beyond the last id", key);
}

Result<std::optional<TransientRange>> read_range(const json::object& object) {
    constexpr std::array<std::string_view, 5> kFields{"size", "start", "target", "startGid", "targetGid"};
    if (std::ranges::none_of(kFields, [&](auto key) { return find_field(object, key) != nullptr; }))
        return std::nullopt;
    TransientRange range;
    range.size = static_cast<uint32_t>(TRY(read_number(object, "size", {1, 65536})));
    range.start = Uid(TRY(read_id(object, "start")));
    range.target = TRY(read_id(object, "target"));
    range.start_gid = Gid(TRY(read_id_or(object, "startGid", range.start.value)));
    range.target_gid = TRY(read_id_or(object, "targetGid", range.target));
    TRY(check_end(range.start.value, range.size, "start"));
    TRY(check_end(range.target, range.size, "target"));
    TRY(check_end(range.start_gid.value, range.size, "startGid"));
    TRY(check_end(range.target_gid, range.size, "targetGid"));
    return range;
}

Result<Registration::Setgroups> read_setgroups(const json::object& object) {
    const json::value* deny = find_field(object, "setgroupsDeny");
    if (deny && !deny->is_bool()) return fail(EBADMSG, "setgroupsDeny is neither true nor false");
    return deny && deny->get_bool() ? Registration::Setgroups::kDenied : Registration::Setgroups::kAllowed;
}

Result<std::string> read_name(const json::object& object) {
    const json::value* value = find_field(object, "name");
    if (!value || !value->is_string()) return fail(EBADMSG, "name is missing, or no string");
    std::string_view name(value->get_string().data(), value->get_string().size());
    // It becomes part of file names and of what is shown to people.
    if (!is_valid_name(name)) return fail(EBADMSG, "name is not allowed");
    return std::string(name);
}

Result<std::vector<CgroupId>> read_cgroups(const json::object& object) {
    std::vector<CgroupId> cgroups;
    const json::array* list = TRY(read_list(object, "cgroups", kMaxListLength));
    if (!list) return cgroups;
    cgroups.reserve(list->size());
    for (const auto& element : *list) cgroups.emplace_back(TRY(to_number(element, "cgroups", kAnyInode)));
    return cgroups;
}

// The name is used to delete a link of the host as root.
bool is_interface_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxInterfaceName && name != "." && name != ".." &&
           std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7F && c != '/' && c != ':' && c != '%'; });
}

Result<std::vector<std::string>> read_interfaces(const json::object& object) {
    std::vector<std::string> names;
    const json::array* list = TRY(read_list(object, "netifs", kMaxListLength));
    if (!list) return names;
    for (const auto& element : *list) {
        if (!element.is_string()) return fail(EBADMSG, "netifs has an element that is no string");
        std::string_view name(element.get_string().data(), element.get_string().size());
        if (!is_interface_name(name)) return fail(EBADMSG, "netifs has an element that is no interface name");
        names.emplace_back(name);
    }
    return names;
}

Result<Delegate> read_delegate(const json::value& value) {
    const json::object* object = value.if_object();
    if (!object) return fail(EBADMSG, "delegates has an element that is no object");
    Delegate delegate;
    delegate.userns = NsInode(TRY(read_number(*object, "userns", kAnyInode)));
    delegate.start = Uid(TRY(read_id(*object, "start")));
    delegate.start_gid = Gid(TRY(read_id_or(*object, "startGid", delegate.start.value)));
    delegate.size = static_cast<uint32_t>(TRY(read_number(*object, "size", {65536, 65536})));
    if (!is_pool_range(delegate.start.value, delegate.size) || delegate.start_gid.value != delegate.start.value)
        return fail(EBADMSG, "delegates has a range that is not one of the pool");
    return delegate;
}

Result<std::vector<Delegate>> read_delegates(const json::object& object) {
    std::vector<Delegate> delegates;
    const json::array* list = TRY(read_list(object, "delegates", kMaxListLength));
    if (!list) return delegates;
    delegates.reserve(list->size());
    for (const auto& element : *list) delegates.push_back(TRY(read_delegate(element)));
    return delegates;
}

json::object unknown_fields_of(const json::object& object) {
    json::object unknown;
    for (const auto& field : object) {
        std::string_view key(field.key().data(), field.key().size());
        if (std::ranges::find(kKnownFields, key) == kKnownFields.end()) unknown.emplace(field.key(), field.value());
    }
    return unknown;
}

void append_range(json::object& object, const TransientRange& range) {
    object["size"] = range.size;
    object["start"] = range.start.value;
    object["target"] = range.target;
    object["startGid"] = range.start_gid.value;
    object["targetGid"] = range.target_gid;
}

void append_lists(json::object& object, const Registration& registration) {
    if (!registration.cgroups.empty()) {
        json::array& list = object["cgroups"].emplace_array();
        for (CgroupId id : registration.cgroups) list.emplace_back(id.value);
    }
    if (!registration.network_interfaces.empty()) {
        json::array& list = object["netifs"].emplace_array();
        for (const auto& name : registration.network_interfaces) list.emplace_back(name);
    }
    if (!registration.delegates.empty()) {
        json::array& list = object["delegates"].emplace_array();
        for (const Delegate& delegate : registration.delegates)
            list.emplace_back(json::object{{"userns", delegate.userns.value},
                                           {"start", delegate.start.value},
                                           {"startGid", delegate.start_gid.value},
                                           {"size", delegate.size}});
    }
}

}  // namespace

bool is_pool_range(uint32_t start, uint32_t size) {
    if (size == 1) return start >= 61184 && start <= 65519;
    return size == 65536 && start % 65536 == 0 && start >= 524288 && start <= 1879048191 - 65535;
}

bool Registration::is_transient() const {
    return range && setgroups == Setgroups::kAllowed && range->start.value == range->start_gid.value &&
           is_pool_range(range->start.value, range->size);
}

std::vector<Uid> Registration::starts() const {
    std::vector<Uid> starts;
    if (is_transient()) starts.push_back(range->start);
    for (const Delegate& delegate : delegates) starts.push_back(delegate.start);
    return starts;
}

Result<Registration> parse_registration(std::string_view text) {
    if (text.size() > kMaxFileSize) return fail(EBADMSG, "larger than {} bytes", kMaxFileSize);
    // A record of usual size is read without asking the heap: a look-up of a user reads one each time.
    alignas(std::max_align_t) unsigned char buffer[4096];
    json::monotonic_resource memory(buffer, sizeof buffer);
    json::object object = TRY(parse_object(text, &memory));

    Registration registration;
    registration.owner = Uid(TRY(read_id(object, "owner")));
    registration.name = TRY(read_name(object));
    registration.userns.inode = NsInode(TRY(read_number(object, "userns", kAnyInode)));
    registration.userns.id = NsId(TRY(read_number_or(object, "usernsId", kAnyInode, 0)));
    registration.range = TRY(read_range(object));
    registration.setgroups = TRY(read_setgroups(object));
    registration.cgroups = TRY(read_cgroups(object));
    registration.network_interfaces = TRY(read_interfaces(object));
    registration.delegates = TRY(read_delegates(object));
    registration.unknown_fields = unknown_fields_of(object);
    return registration;
}

std::string format_registration(const Registration& registration) {
    json::object object;
    object["owner"] = registration.owner.value;
    object["name"] = registration.name;
    object["userns"] = registration.userns.inode.value;
    if (registration.userns.id.value != 0) object["usernsId"] = registration.userns.id.value;
    if (registration.range) append_range(object, *registration.range);
    if (registration.setgroups == Registration::Setgroups::kDenied) object["setgroupsDeny"] = true;
    append_lists(object, registration);
    for (const auto& field : registration.unknown_fields) object.insert(field);
    return json::serialize(object) + "\n";
}

}  // namespace nsr::registry
