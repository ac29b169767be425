// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <set>
#include <string>

#include <boost/json/object.hpp>

#include "ctl/options.h"
#include "reclaim/ledger.h"
#include "reclaim/survey.h"

namespace nsr::ctl {

/// What `reclaim` tells at its end.
struct ReclaimReport {
    const ReclaimVerb& verb;
    const reclaim::Survey& survey;
    const reclaim::Ledger::Outcome& outcome;
    const std::set<Uid>& candidates;
    size_t in_use;

    /// Whether only a part was looked at, so that nothing can be freed.
    bool is_partial() const { return !verb.paths.empty() && verb.others == ReclaimVerb::Others::kUnknown; }
};

boost::json::object to_json(const ReclaimReport& report);
std::string to_text(const ReclaimReport& report);

}  // namespace nsr::ctl
