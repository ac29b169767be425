// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

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
    const reclaim::Ledger& ledger;

    /// Whether only a part was looked at, so that nothing can be freed.
    bool is_partial() const { return !verb.paths.empty() && verb.others == ReclaimVerb::Others::kUnknown; }
    /// Used ranges that no namespace has.
    size_t used() const { return ledger.candidates().size() + ledger.used_in_this_boot().size(); }
    bool is_used(Uid start) const {
        return ledger.candidates().contains(start) || ledger.used_in_this_boot().contains(start);
    }
};

boost::json::object to_json(const ReclaimReport& report);
std::string to_text(const ReclaimReport& report);

}  // namespace nsr::ctl
