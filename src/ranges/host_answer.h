// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include "base/types.h"

namespace nsr::ranges {

/// What is asked of somebody who may know users and groups.
struct HostQuery {
    std::optional<Uid> id;  ///< as a uid and as a gid; nothing: not asked about
    std::string account;    ///< as a user and as a group; empty: not asked about
};

struct HostAnswer {
    bool id_known = false;
    bool account_known = false;

    HostAnswer& operator|=(const HostAnswer& other) {
        id_known |= other.id_known;
        account_known |= other.account_known;
        return *this;
    }
    /// Whether nobody else has to be asked any more.
    bool is_final_for(const HostQuery& query) const { return account_known || (id_known && query.account.empty()); }
};

}  // namespace nsr::ranges
