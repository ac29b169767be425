// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::policy {

/// Where one instance keeps its maps and programs alive: a directory below /sys/fs/bpf, one for each runtime directory.
/// Below it are directories named "<kind>-<version>-<number>". What is in one may be anybody's: nothing of it counts
/// before it has been looked at.
class PinDirectory {
public:
    explicit PinDirectory(const std::string& runtime_dir);

    const std::string& path() const { return path_; }
    std::string path_of(const std::string& name) const { return path_ + "/" + name; }

    /// Makes it, and mounts the file system where no init system has. EPERM: it is there, and not root's alone.
    Status make() const;
    /// Directories of this kind and version; empty where there is nothing at all, or nothing that is root's alone.
    std::vector<std::string> list(const std::string& prefix) const;
    /// A new, empty one: its name.
    Result<std::string> make_new(const std::string& prefix) const;
    /// Makes an empty one, unless it is there.
    Status ensure(const std::string& name) const;
    /// Removes it with all its pins.
    Status remove(const std::string& name) const;
    /// Removes all but these.
    Status remove_others(const std::vector<std::string>& names) const;
    /// Removes everything, the directory included.
    Status remove_all() const;
    /// Says that the instance runs, for as long as the descriptor is open.
    Result<UniqueFd> lock() const;
    /// Removes those of instances that do not run, whose runtime directory is gone, and which are done with all their
    /// namespaces.
    static void remove_abandoned();

private:
    bool is_trusted() const;

    std::string runtime_dir_;
    std::string path_;
};

}  // namespace nsr::policy
