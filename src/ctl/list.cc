// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "ctl/family.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/registry_view.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

using registry::Registration;
using Parents = std::vector<std::optional<NsInode>>;

Result<boost::json::array> to_array(const std::vector<Registration>& registrations, const Parents& parents) {
    boost::json::array all;
    for (size_t i = 0; i < registrations.size(); ++i) {
        auto record = TRY(to_json(registrations[i]));
        record["parent"] = parents[i] ? boost::json::value(parents[i]->value) : nullptr;
        all.push_back(std::move(record));
    }
    return all;
}

std::string count_of(size_t number) { return number == 0 ? "-" : fmt::format("{}", number); }

std::string to_table(const std::vector<Registration>& registrations, const Parents& parents) {
    using enum Table::Align;
    Table table({{"NAME", kLeft},
                 {"OWNER", kRight},
                 {"TYPE", kLeft},
                 {"SIZE", kRight},
                 {"RANGE", kLeft},
                 {"TARGET", kRight},
                 {"USERNS", kRight},
                 {"DELEGATED", kRight},
                 {"CGROUPS", kRight},
                 {"LINKS", kLeft}});
    for (const auto& line : tree_lines(registrations, parents, branches_of_locale())) {
        const Registration& r = registrations[line.index];
        table.add({line.branch + r.name, fmt::format("{}", r.owner), std::string(type_of(r)),
                   r.range ? fmt::format("{}", r.range->size) : "-", range_of(r),
                   r.range ? fmt::format("{}", r.range->target) : "-", fmt::format("{}", r.userns.inode),
                   count_of(r.delegates.size()), count_of(r.cgroups.size()),
                   r.network_interfaces.empty() ? "-" : fmt::format("{}", fmt::join(r.network_interfaces, " "))});
    }
    return fmt::format("{}\n{} namespace{} listed.\n", table.text(), registrations.size(),
                       registrations.size() == 1 ? "" : "s");
}

}  // namespace

Result<int> list(const Setting& setting, const ListVerb&) {
    auto view = TRY(RegistryView::open(setting));
    auto registrations = TRY(view.all());
    auto parents = parents_of(registrations, TRY(view.delegations()));
    if (setting.json == JsonMode::kOff) {
        TRY(print(setting, to_table(registrations, parents)));
    } else {
        auto array = TRY(to_array(registrations, parents));
        TRY(print(setting, json_text(array, setting.json)));
    }
    return kDone;
}

}  // namespace nsr::ctl
