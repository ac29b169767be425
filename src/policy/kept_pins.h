// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "policy/pin_directory.h"

namespace nsr::policy {

/// Descriptors of what is pinned. A program stays attached for as long as its link has a pin or a descriptor, and the
/// kernel has no other way to detach it: so while these are open, removing the pins detaches nothing.
class KeptPins {
public:
    /// All pins in a directory below the PinDirectory.
    Status keep(const PinDirectory& pins, const std::string& directory);
    /// Closes the descriptors of such a directory.
    void let_go(const std::string& directory);
    /// How many are not pinned any more. Three system calls for each directory.
    size_t count_missing(const PinDirectory& pins) const;
    /// Pins those again; the PinDirectory is there.
    Status restore(const PinDirectory& pins) const;

private:
    using Objects = std::map<std::string, UniqueFd>;  ///< by the names of their pins
    std::map<std::string, Objects> directories_;
};

}  // namespace nsr::policy
