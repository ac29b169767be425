// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/kept_pins.h"

#include <unistd.h>
#include <algorithm>

#include "base/sys.h"
#include "policy/bpf_call.h"

namespace nsr::policy {

bool KeptPins::Kept::is_pinned(const PinDirectory& pins) const { return access(path(pins).c_str(), F_OK) == 0; }

Status KeptPins::keep(const PinDirectory& pins, const std::string& directory) {
    for (auto& name : TRY(sys::list_directory(sys::kCwd, pins.path_of(directory)))) {
        UniqueFd object = TRY(open_pin(pins.path_of(directory) + "/" + name));
        all_.push_back({directory, std::move(name), std::move(object)});
    }
    return {};
}

void KeptPins::let_go(const std::string& directory) {
    std::erase_if(all_, [&](const Kept& kept) { return kept.directory == directory; });
}

size_t KeptPins::count_missing(const PinDirectory& pins) const {
    return static_cast<size_t>(std::ranges::count_if(all_, [&](const Kept& kept) { return !kept.is_pinned(pins); }));
}

Status KeptPins::restore(const PinDirectory& pins) const {
    for (const auto& kept : all_) {
        if (kept.is_pinned(pins)) continue;
        TRY(pins.ensure(kept.directory));
        TRY(pin(kept.object.borrow(), kept.path(pins)));
    }
    return {};
}

}  // namespace nsr::policy
