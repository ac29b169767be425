// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

namespace nsr::channels {

/// One way to make an inode in a directory that the file system call itself names.
struct Maker {
    std::string name;
    int (*make)(const std::string& directory);
};

/// Each answers 0, an errno value, or lacking().
const std::vector<Maker>& makers();

/// All of them are to be refused: see Refusals.
int refused_all(const std::string& directory);
/// overlayfs keeps whiteouts for itself.
enum class Whiteouts { kToo, kNone };
/// All of them are to be allowed: 0, or what the first that was not got.
int allowed_all(const std::string& directory, Whiteouts whiteouts = Whiteouts::kToo);

int make_file(const std::string& path);
int make_directory(const std::string& path);
/// O_TMPFILE in the directory, then linkat(2) to that path.
int make_temporary_file(const std::string& directory, const std::string& path);
int bind_socket(const std::string& path, int type);

/// Is the object owned by exactly these ids, as this process sees them? 0, or an errno value.
int check_owner(const std::string& path, unsigned uid, unsigned gid);

}  // namespace nsr::channels
