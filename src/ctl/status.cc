// SPDX-License-Identifier: LGPL-2.1-or-later
#include <unistd.h>
#include <array>

#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/own_use.h"
#include "ctl/registry_view.h"
#include "ctl/service.h"
#include "ctl/status_file.h"
#include "ctl/table.h"
#include "ctl/verbs.h"
#include "ranges/user_table.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;
constexpr uint64_t kInfoTimeoutUsec = 10'000'000;

/// The fields of the manager's status file that people are shown, and under which word.
struct Known {
    std::string_view field, label;
};
constexpr std::array kKnown{
    Known{"version", "Version"},
    Known{"pid", "PID"},
    Known{"enforcement", "Enforcement"},
    Known{"reason", "Reason"},
    Known{"notEnforced", "Not enforced"},
    Known{"lastGap", "Last gap"},
    Known{"freshContainer", "Fresh ranges of 65536"},
    Known{"freshDynamic", "Fresh single ids"},
};

Status ask_service(const Setting& setting) {
    auto client = TRY(connect(setting));
    auto answer = TRY(client.call("org.varlink.service.GetInfo", {}, {}, kInfoTimeoutUsec));
    if (!answer.error.empty()) return fail(EPROTO, "{}", explain(answer));
    return {};
}

/// How many namespaces of each type there are.
Result<json::object> count(const Setting& setting) {
    json::object counts;
    auto view = TRY(RegistryView::open(setting));
    for (const char* type : {"managed", "self", "registered"}) counts[type] = 0;
    for (const auto& registration : TRY(view.all())) {
        auto& value = counts[type_of(registration)];
        value = value.as_int64() + 1;
    }
    return counts;
}

/// What counts against the caller, and how much of it may. Root may use up all ranges, and so may others where ranges
/// are used again.
json::object count_own(const OwnUse& use, const json::object& status) {
    json::object own{{"uid", use.user.value},
                     {"registrations", use.registrations},
                     {"maxRegistrations", ranges::kMaxRegistrationsPerUser}};
    if (!status.contains("freshContainer")) return own;
    own["usedContainer"] = use.containers;
    own["usedDynamic"] = use.singles;
    if (::geteuid() == 0) return own;
    own["maxContainer"] = ranges::share_of(ranges::kContainerPool);
    own["maxDynamic"] = ranges::share_of(ranges::kDynamicPool);
    return own;
}

constexpr std::array kOwn{
    std::array<std::string_view, 3>{"Your registrations", "registrations", "maxRegistrations"},
    std::array<std::string_view, 3>{"Your ranges of 65536", "usedContainer", "maxContainer"},
    std::array<std::string_view, 3>{"Your single ids", "usedDynamic", "maxDynamic"},
};

void add_own_lines(const json::object& own, std::vector<std::pair<std::string, std::string>>& lines) {
    if (own.at("uid").to_number<uint32_t>() != ::geteuid())
        lines.emplace_back("You count as", fmt::format("uid {}", own.at("uid").to_number<uint32_t>()));
    for (const auto& [label, field, limit] : kOwn) {
        const auto* used = own.if_contains(field);
        const auto* most = own.if_contains(limit);
        if (used && most) lines.emplace_back(label, json::serialize(*used) + " of " + json::serialize(*most));
        if (used && !most) lines.emplace_back(label, json::serialize(*used));
    }
}

std::string value_text(const json::value& value) {
    return value.is_string() ? std::string(std::string_view(value.get_string())) : json::serialize(value);
}

std::string to_lines(const Setting& setting, const json::object& report) {
    std::vector<std::pair<std::string, std::string>> lines{
        {"Service", report.at("answers").as_bool() ? "answers" : "does not answer"}, {"Socket", setting.socket}};
    for (const auto& known : kKnown)
        if (const auto* value = report.if_contains(known.field)) lines.emplace_back(known.label, value_text(*value));
    if (const auto* counts = report.if_contains("namespaces")) {
        std::vector<std::string> each;
        for (const auto& [type, number] : counts->as_object())
            each.push_back(fmt::format("{} {}", number.as_int64(), std::string_view(type)));
        lines.emplace_back("Namespaces", fmt::format("{}", fmt::join(each, ", ")));
    }
    if (const auto* own = report.if_contains("own")) add_own_lines(own->as_object(), lines);
    return pairs_text(lines);
}

}  // namespace

Result<int> status(const Setting& setting, const StatusVerb&) {
    json::object report = TRY(read_status_file(setting));
    Status answers = ask_service(setting);
    if (!answers) log::error("{}", answers.error().what());
    report["answers"] = answers.has_value();
    if (auto counts = count(setting)) report["namespaces"] = *std::move(counts);
    if (auto use = own_use(setting, Uid(::geteuid()))) report["own"] = count_own(*use, report);
    TRY(print(setting, setting.json == JsonMode::kOff ? to_lines(setting, report) : json_text(report, setting.json)));
    return answers ? kDone : kFailed;
}

}  // namespace nsr::ctl
