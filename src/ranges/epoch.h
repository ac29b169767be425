// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ranges/bit_file.h"

namespace nsr::ranges {

/// A number for this boot, never 0.
Result<uint64_t> boot_epoch();

/// A number for this boot and this `used` file. Ready ranges of another boot (a runtime directory that is no tmpfs,
/// after a power failure) or of another `used` file (the old one was deleted) are not known to be unused.
Result<uint64_t> boot_epoch_of(const BitFile& used);

}  // namespace nsr::ranges
