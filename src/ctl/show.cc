// SPDX-License-Identifier: LGPL-2.1-or-later
#include <charconv>

#include <fmt/ranges.h>

#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/registry_view.h"
#include "ctl/service.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

using registry::Registration;
constexpr uint64_t kLookUpTimeoutUsec = 10'000'000;

std::optional<Uid> to_uid(std::string_view text) {
    uint32_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !is_valid_id(number)) return std::nullopt;
    return Uid(number);
}

struct Found {
    Registration registration;
    /// What was asked for, else the first of the range.
    Uid uid;
};

/// A number is a uid first, and a name only where no range has that uid: root may give a name of digits only.
Result<Found> find(const Setting& setting, const std::string& what) {
    auto view = TRY(RegistryView::open(setting));
    if (auto uid = to_uid(what)) {
        auto by_uid = TRY(view.find_by_uid(*uid));
        if (by_uid) return Found{*std::move(by_uid), *uid};
    }
    auto by_name = TRY(view.find_by_name(what));
    if (!by_name) return fail(ENOENT, "no namespace has the name or uid {}; see nsresourcectl list", what);
    const Uid first = by_name->range ? by_name->range->start : Uid();
    return Found{*std::move(by_name), first};
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

std::string to_lines(const Setting& setting, const Found& found) {
    const Registration& r = found.registration;
    std::vector<std::pair<std::string, std::string>> lines{
        {"Name", r.name}, {"Owner", fmt::format("{}", r.owner)}, {"Type", std::string(type_of(r))}};
    if (r.range) {
        lines.emplace_back("Size", fmt::format("{}", r.range->size));
        lines.emplace_back("Range", range_of(r));
        lines.emplace_back("Target", fmt::format("{}", r.range->target));
    }
    if (r.is_transient()) lines.emplace_back(fmt::format("User {}", found.uid), user_record(setting, found.uid));
    lines.emplace_back("Setgroups", r.setgroups == Registration::Setgroups::kDenied ? "denied" : "allowed");
    lines.emplace_back("Userns", fmt::format("{}", r.userns.inode));
    if (r.userns.id.value != 0) lines.emplace_back("Userns id", fmt::format("{}", r.userns.id));
    if (!r.cgroups.empty()) lines.emplace_back("Cgroups", fmt::format("{}", fmt::join(r.cgroups, " ")));
    if (!r.network_interfaces.empty())
        lines.emplace_back("Interfaces", fmt::format("{}", fmt::join(r.network_interfaces, " ")));
    for (const auto& d : r.delegates)
        lines.emplace_back("Delegated", fmt::format("{}-{}", d.start, uint64_t{d.start.value} + d.size - 1));
    return pairs_text(lines);
}

}  // namespace

Result<int> show(const Setting& setting, const ShowVerb& verb) {
    const Found found = TRY(find(setting, verb.what));
    if (setting.json == JsonMode::kOff) {
        TRY(print(setting, to_lines(setting, found)));
    } else {
        auto object = TRY(to_json(found.registration));
        TRY(print(setting, json_text(object, setting.json)));
    }
    return kDone;
}

}  // namespace nsr::ctl
