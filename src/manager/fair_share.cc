// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/fair_share.h"

namespace nsr::manager {

void FairShare::note(Uid user, uint64_t now_usec) {
    if (latest_[0].user != user) latest_[1] = latest_[0];
    latest_[0] = {user, now_usec};
}

FairShare::Company FairShare::company_of(Uid user, uint64_t now_usec) const {
    const Active& other = latest_[0].user == user ? latest_[1] : latest_[0];
    bool is_active = other.last_usec != 0 && other.last_usec + kActiveUsec > now_usec;
    return is_active ? Company::kWithOthers : Company::kAlone;
}

}  // namespace nsr::manager
