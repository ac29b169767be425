// SPDX-License-Identifier: LGPL-2.1-or-later
#include <boost/json.hpp>

#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/registry_view.h"
#include "ctl/table.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

using registry::Registration;

Result<boost::json::array> to_array(const std::vector<Registration>& registrations) {
    boost::json::array all;
    for (const auto& registration : registrations) all.push_back(TRY(to_json(registration)));
    return all;
}

std::string to_table(const std::vector<Registration>& registrations) {
    using enum Table::Align;
    Table table({{"NAME", kLeft},
                 {"OWNER", kRight},
                 {"TYPE", kLeft},
                 {"SIZE", kRight},
                 {"RANGE", kLeft},
                 {"TARGET", kRight},
                 {"USERNS", kRight}});
    for (const auto& r : registrations)
        table.add({r.name, fmt::format("{}", r.owner), std::string(type_of(r)),
                   r.range ? fmt::format("{}", r.range->size) : "-", range_of(r),
                   r.range ? fmt::format("{}", r.range->target) : "-", fmt::format("{}", r.userns.inode)});
    return fmt::format("{}\n{} namespace{} listed.\n", table.text(), registrations.size(),
                       registrations.size() == 1 ? "" : "s");
}

}  // namespace

Result<int> list(const Setting& setting, const ListVerb&) {
    auto view = TRY(RegistryView::open(setting));
    auto registrations = TRY(view.all());
    if (setting.json == JsonMode::kOff) {
        TRY(print(setting, to_table(registrations)));
    } else {
        auto array = TRY(to_array(registrations));
        TRY(print(setting, json_text(array, setting.json)));
    }
    return kDone;
}

}  // namespace nsr::ctl
