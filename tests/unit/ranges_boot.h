// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace nsr::ranges {

/// Of a BitFile.
inline void set_epoch(const std::string& path, const std::string& eight_bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8);
    file.write(eight_bytes.data(), 8);
}

/// As if these directories were met in another boot: the runtime directory is empty then, and what the state directory
/// knows of a boot is about an earlier one.
inline void begin_another_boot(const std::string& state, const std::string& run) {
    std::filesystem::remove_all(run + "/nsresource");
    if (std::filesystem::is_regular_file(state + "/used-before")) set_epoch(state + "/used-before", "otherboo");
}

}  // namespace nsr::ranges
