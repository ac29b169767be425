// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/epoch.h"

#include <xxhash.h>
#include <algorithm>
#include <string>

#include "base/sys.h"

namespace nsr::ranges {

namespace {

Result<std::string> boot_id() { return sys::read_file_at(sys::kCwd, "/proc/sys/kernel/random/boot_id", 256); }

}  // namespace

Result<uint64_t> boot_epoch() {
    std::string text = TRY(boot_id());
    return std::max<uint64_t>(1, XXH3_64bits(text.data(), text.size()));
}

Result<uint64_t> boot_epoch_of(const BitFile& used) {
    std::string text = TRY(boot_id());
    struct stat st = TRY(sys::stat_fd(used.fd()));
    text += fmt::format("{}:{}", st.st_dev, st.st_ino);
    return XXH3_64bits(text.data(), text.size());
}

}  // namespace nsr::ranges
