// SPDX-License-Identifier: LGPL-2.1-or-later
#include <array>

#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "base/sys.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/registry_view.h"
#include "ctl/service.h"
#include "ctl/table.h"
#include "ctl/verbs.h"
#include "registry/json_text.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;
constexpr uint64_t kInfoTimeoutUsec = 10'000'000;
constexpr size_t kMaxStatusSize = 64 * 1024;

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
    Known{"freshContainer", "Fresh ranges of 65536"},
    Known{"freshDynamic", "Fresh single ids"},
};

/// What the manager wrote about itself; empty where there is nothing.
Result<json::object> read_status_file(const Setting& setting) {
    auto text = sys::read_file_at(sys::kCwd, setting.resource_directory() + "/status", kMaxStatusSize);
    if (!text && text.error().code() == ENOENT) return json::object();
    if (!text) return Failure(std::move(text).error());
    return TRY_WITHIN("status file", registry::parse_object(*text, {}));
}

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
    return pairs_text(lines);
}

}  // namespace

Result<int> status(const Setting& setting, const StatusVerb&) {
    json::object report = TRY(read_status_file(setting));
    Status answers = ask_service(setting);
    if (!answers) log::error("{}", answers.error().what());
    report["answers"] = answers.has_value();
    if (auto counts = count(setting)) report["namespaces"] = *std::move(counts);
    TRY(print(setting, setting.json == JsonMode::kOff ? to_lines(setting, report) : json_text(report, setting.json)));
    return answers ? kDone : kFailed;
}

}  // namespace nsr::ctl
