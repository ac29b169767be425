// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/kept_pins.h"

#include <algorithm>
#include <vector>

#include "base/sys.h"
#include "policy/bpf_call.h"

namespace nsr::policy {

namespace {

std::vector<std::string> list(const PinDirectory& pins, const std::string& directory) {
    return sys::list_directory(sys::kCwd, pins.path_of(directory)).value_or(std::vector<std::string>());
}

}  // namespace

Status KeptPins::keep(const PinDirectory& pins, const std::string& directory) {
    for (auto& name : TRY(sys::list_directory(sys::kCwd, pins.path_of(directory)))) {
        UniqueFd object = TRY(open_pin(pins.path_of(directory) + "/" + name));
        directories_[directory].emplace(std::move(name), std::move(object));
    }
    return {};
}

void KeptPins::let_go(const std::string& directory) { directories_.erase(directory); }

size_t KeptPins::count_missing(const PinDirectory& pins) const {
    size_t missing = 0;
    for (const auto& [directory, objects] : directories_) {
        missing += objects.size();
        for (const auto& name : list(pins, directory)) missing -= objects.count(name);
    }
    return missing;
}

Status KeptPins::restore(const PinDirectory& pins) const {
    for (const auto& [directory, objects] : directories_) {
        TRY(pins.ensure(directory));
        auto pinned = list(pins, directory);
        for (const auto& [name, object] : objects)
            if (std::ranges::find(pinned, name) == pinned.end())
                TRY(pin(object.borrow(), pins.path_of(directory) + "/" + name));
    }
    return {};
}

}  // namespace nsr::policy
