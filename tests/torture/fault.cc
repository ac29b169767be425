// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fault.h"

#include <map>
#include <sstream>

namespace nsr::injector {
namespace {

const std::map<std::string, Action> kActions = {
    {"none", Action::kNone},   {"kill", Action::kKill},     {"kill-return", Action::kKillAtReturn},
    {"error", Action::kError}, {"sticky", Action::kSticky}, {"hold", Action::kHold}};

}  // namespace

std::optional<Role> parse_role(const std::string& text) {
    for (const Role role : {Role::kManager, Role::kWorker, Role::kHelper})
        if (text == name_of(role)) return role;
    return std::nullopt;
}

const char* name_of(Role role) {
    switch (role) {
        case Role::kManager:
            return "manager";
        case Role::kWorker:
            return "worker";
        case Role::kHelper:
            break;
    }
    return "helper";
}

std::optional<Fault> parse_fault(const std::string& text) {
    std::istringstream words(text);
    std::string role, call, action;
    Fault fault;
    if (!(words >> role >> call >> fault.nth >> action >> fault.error >> fault.kill_later)) return std::nullopt;
    const auto found_role = parse_role(role);
    const auto found_action = kActions.find(action);
    if (!found_role || found_action == kActions.end()) return std::nullopt;
    fault.role = *found_role;
    fault.action = found_action->second;
    if (call == "*") return fault;
    std::istringstream number(call);
    uint64_t value = 0;
    if (!(number >> value)) return std::nullopt;
    fault.call = value;
    return fault;
}

}  // namespace nsr::injector
