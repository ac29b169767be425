// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/shortage.h"

#include <array>

#include "base/log.h"
#include "ctl/service.h"
#include "ctl/status_file.h"
#include "ranges/user_table.h"

namespace nsr::ctl {

namespace {

namespace json = boost::json;
constexpr std::string_view kRemedy = "an administrator can free ranges with \"nsresourcectl reclaim\"";

/// One pool, as far as the question is about it.
struct Demand {
    const ranges::Pool& pool;
    uint32_t wanted;
    std::optional<uint32_t> used;  ///< by the user
    std::optional<int64_t> fresh;  ///< ranges that were never handed out
};

std::optional<int64_t> number_in(const json::object& status, std::string_view field) {
    const auto* value = status.if_contains(field);
    return value && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
}

bool is_quarantine(const json::object& status) {
    const auto* level = status.if_contains("enforcement");
    return level && level->is_string() && std::string_view(level->get_string()) == "quarantine";
}

}  // namespace

std::string explain_shortage(const Wanted& wanted, Uid caller, const std::optional<OwnUse>& use,
                             const json::object& status) {
    const std::string answer =
        explain({.error = "io.systemd.NamespaceResource.NoDynamicRange", .parameters = {}, .fds = {}});
    if (!is_quarantine(status)) return answer;
    const std::array demands{
        Demand{ranges::kContainerPool, wanted.containers, use ? std::optional(use->containers) : std::nullopt,
               number_in(status, "freshContainer")},
        Demand{ranges::kDynamicPool, wanted.singles, use ? std::optional(use->singles) : std::nullopt,
               number_in(status, "freshDynamic")}};
    for (const auto& [pool, number, used, fresh] : demands)
        if (number > 0 && caller != Uid(0) && used && *used + number > ranges::share_of(pool))
            return fmt::format(
                "your share of the pool is used up: {} of {} ranges of size {}, and {} more {} asked for; {}", *used,
                ranges::share_of(pool), pool.size, number, number == 1 ? "is" : "are", kRemedy);
    for (const auto& [pool, number, used, fresh] : demands)
        if (number > 0 && fresh && *fresh < int64_t{number})
            return fmt::format("no range of size {} that was never used is left; {}", pool.size, kRemedy);
    return answer;
}

std::string explain_shortage(const Setting& setting, const Wanted& wanted, Uid caller) {
    auto use = own_use(setting, caller);
    if (!use) log::debug("{}", use.error().what());
    auto status = read_status_file(setting);
    if (!status) log::debug("{}", status.error().what());
    return explain_shortage(wanted, caller, use ? std::optional(*use) : std::nullopt,
                            status ? *std::move(status) : json::object());
}

}  // namespace nsr::ctl
