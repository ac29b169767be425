// SPDX-License-Identifier: LGPL-2.1-or-later
#include <charconv>

#include <boost/json.hpp>

#include "ctl/cgroup_paths.h"
#include "ctl/family.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/registry_view.h"
#include "ctl/service.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;
using registry::Registration;
constexpr uint64_t kLookUpTimeoutUsec = 10'000'000;

std::optional<Uid> to_uid(std::string_view text) {
    uint32_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !is_valid_id(number)) return std::nullopt;
    return Uid(number);
}

struct Found {
    RegistryView view;
    Registration registration;
    /// What was asked for, else the first of the range.
    Uid uid;
};

/// A number is a uid first, and a name only where no range has that uid: root may give a name of digits only.
Result<Found> find(const Setting& setting, const std::string& what) {
    auto view = TRY(RegistryView::open(setting));
    if (auto uid = to_uid(what)) {
        auto by_uid = TRY(view.find_by_uid(*uid));
        if (by_uid) return Found{std::move(view), *std::move(by_uid), *uid};
    }
    auto by_name = TRY(view.find_by_name(what));
    if (!by_name) return fail(ENOENT, "no namespace has the name or uid {}; see nsresourcectl list", what);
    const Uid first = by_name->range ? by_name->range->start : Uid();
    return Found{std::move(view), *std::move(by_name), first};
}

/// What the user database says about `uid`: that part of the service may be down while the registry can be read.
std::string user_record(const Setting& setting, Uid uid) {
    auto client = connect(setting);
    if (!client) return "(the service does not answer)";
    auto answer =
        client->call("io.systemd.UserDatabase.GetUserRecord",
                     {{"uid", uid.value}, {"service", "io.systemd.NamespaceResource"}}, {}, kLookUpTimeoutUsec);
    if (!answer) return "(the service does not answer)";
    if (!answer->error.empty()) return fmt::format("({})", answer->error);
    const auto* record = answer->parameters.if_contains("record");
    const auto* name =
        record != nullptr && record->is_object() ? record->get_object().if_contains("userName") : nullptr;
    if (name == nullptr || !name->is_string()) return "(the service gave a record without a name)";
    return std::string(name->get_string());
}

using Lines = std::vector<std::pair<std::string, std::string>>;

void append_resources(Lines& lines, const Registration& r) {
    const auto paths = find_cgroup_paths(r.cgroups);
    for (const CgroupId id : r.cgroups) {
        const auto found = paths.find(id);
        lines.emplace_back("Cgroup", found == paths.end() ? fmt::format("{} (not found)", id)
                                                          : fmt::format("{} {}", id, found->second));
    }
    for (const auto& name : r.network_interfaces) lines.emplace_back("Interface", name);
}

/// The name for people; the inode number alone where it is not registered any more.
std::string name_of(const RegistryView& view, NsInode inode) {
    auto found = view.find_by_inode(inode);
    return found && *found ? fmt::format("{} ({})", (*found)->name, inode) : fmt::format("{}", inode);
}

/// The one that a delegated range is with now: it can be handed on and on.
std::optional<NsInode> holder_of(const RegistryView& view, Uid start) {
    auto delegation = view.delegation_at(start);
    if (!delegation || !*delegation) return std::nullopt;
    return (*delegation)->userns;
}

std::optional<NsInode> parent_in(const RegistryView& view, const Registration& registration) {
    return parent_of(registration, {[&view](Uid start) {
                                        auto found = view.delegation_at(start);
                                        return found ? *std::move(found) : std::nullopt;
                                    },
                                    [&view](NsInode inode) {
                                        auto found = view.find_by_inode(inode);
                                        return found && found->has_value();
                                    }});
}

void append_family(Lines& lines, const Found& found) {
    if (auto parent = parent_in(found.view, found.registration))
        lines.emplace_back("Parent", name_of(found.view, *parent));
    for (const auto& d : found.registration.delegates) {
        std::string text = fmt::format("{}-{}", d.start, uint64_t{d.start.value} + d.size - 1);
        const auto holder = holder_of(found.view, d.start);
        if (holder && *holder != found.registration.userns.inode)
            text += ", handed on to " + name_of(found.view, *holder);
        auto user = found.view.find_by_uid(d.start);
        if (user && *user) text += ", range of " + (*user)->name;
        lines.emplace_back("Delegated", std::move(text));
    }
}

/// The record, and beside it what follows from other files: the parent, where each cgroup is, and who holds what was
/// delegated; null where that is not known.
Result<json::object> to_record(const Found& found) {
    json::object record = TRY(to_json(found.registration));
    auto inode_or_null = [](std::optional<NsInode> inode) { return inode ? json::value(inode->value) : nullptr; };
    record["parent"] = inode_or_null(parent_in(found.view, found.registration));
    const auto paths = find_cgroup_paths(found.registration.cgroups);
    json::array& places = record["cgroupPaths"].emplace_array();
    for (const CgroupId id : found.registration.cgroups) {
        const auto path = paths.find(id);
        places.push_back(path == paths.end() ? json::value(nullptr) : json::value(path->second));
    }
    json::array& holders = record["delegateHolders"].emplace_array();
    for (const auto& d : found.registration.delegates) holders.push_back(inode_or_null(holder_of(found.view, d.start)));
    return record;
}

std::string to_lines(const Setting& setting, const Found& found) {
    const Registration& r = found.registration;
    Lines lines{{"Name", r.name}, {"Owner", fmt::format("{}", r.owner)}, {"Type", std::string(type_of(r))}};
    if (r.range) {
        lines.emplace_back("Size", fmt::format("{}", r.range->size));
        lines.emplace_back("Range", range_of(r));
        lines.emplace_back("Target", fmt::format("{}", r.range->target));
    }
    if (r.is_transient()) lines.emplace_back(fmt::format("User {}", found.uid), user_record(setting, found.uid));
    lines.emplace_back("Setgroups", r.setgroups == Registration::Setgroups::kDenied ? "denied" : "allowed");
    lines.emplace_back("Userns", fmt::format("{}", r.userns.inode));
    if (r.userns.id.value != 0) lines.emplace_back("Userns id", fmt::format("{}", r.userns.id));
    append_resources(lines, r);
    append_family(lines, found);
    return pairs_text(lines);
}

}  // namespace

Result<int> show(const Setting& setting, const ShowVerb& verb) {
    const Found found = TRY(find(setting, verb.what));
    if (setting.json == JsonMode::kOff) {
        TRY(print(setting, to_lines(setting, found)));
    } else {
        auto object = TRY(to_record(found));
        TRY(print(setting, json_text(object, setting.json)));
    }
    return kDone;
}

}  // namespace nsr::ctl
