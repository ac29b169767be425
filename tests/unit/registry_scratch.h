// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/sys.h"
#include "registry/store.h"

namespace nsr::registry {

/// A real registry in a directory of its own.
class ScratchRegistry {
public:
    ScratchRegistry() {
        std::string path = "/tmp/nsr-registry-XXXXXX";
        if (::mkdtemp(path.data())) base_ = path;
        base_fd_ = UniqueFd(::open(base_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    ~ScratchRegistry() { std::filesystem::remove_all(base_); }
    ScratchRegistry(const ScratchRegistry&) = delete;
    ScratchRegistry& operator=(const ScratchRegistry&) = delete;

    Store open() const { return std::move(Store::open(base_fd_.borrow()).value()); }
    BorrowedFd base_fd() const { return base_fd_.borrow(); }
    std::filesystem::path base() const { return base_; }
    std::filesystem::path state() const { return base_ / "nsresource"; }
    std::filesystem::path registry() const { return state() / "registry"; }

    /// All names below the registry directory, the lock aside.
    std::set<std::string> files() const {
        std::set<std::string> names;
        for (const auto& file : std::filesystem::recursive_directory_iterator(registry()))
            if (file.path() != registry() / "lock") names.insert(file.path().lexically_relative(registry()).string());
        return names;
    }
    /// All files below it, with what they say.
    std::map<std::string, std::string> contents() const {
        std::map<std::string, std::string> texts;
        for (const auto& name : files()) {
            if (std::filesystem::is_directory(registry() / name)) continue;
            std::ifstream file(registry() / name);
            texts[name] = std::string(std::istreambuf_iterator<char>(file), {});
        }
        return texts;
    }
    void write(const std::string& file, const std::string& text) const { std::ofstream(registry() / file) << text; }
    struct stat stat(const std::string& file) const {
        struct stat st{};
        EXPECT_EQ(::lstat((registry() / file).c_str(), &st), 0) << file;
        return st;
    }

private:
    std::filesystem::path base_;
    UniqueFd base_fd_;
};

inline Registration transient(uint64_t inode, std::string name, uint32_t start, Uid owner = Uid(1000)) {
    Registration registration;
    registration.owner = owner;
    registration.name = std::move(name);
    registration.userns = {NsInode(inode), NsId(inode + 7'000'000'000)};
    registration.range = TransientRange{start < 65536 ? 1u : 65536u, Uid(start), 0, Gid(start), 0};
    return registration;
}

inline Registration plain(uint64_t inode, std::string name, Uid owner = Uid(1000)) {
    Registration registration = transient(inode, std::move(name), 524288, owner);
    registration.range.reset();
    return registration;
}

inline Registration with_delegates(Registration registration, const std::vector<uint32_t>& starts) {
    for (uint32_t start : starts)
        registration.delegates.push_back({registration.userns.inode, Uid(start), Gid(start), 65536});
    return registration;
}

/// The names of a complete transient registration of 524288 with inode 5, name "a" and owner 1000.
inline const std::set<std::string> kFilesOfA{"i5.userns",      "na.userns",  "u524288.userns",
                                             "g524288.userns", "o1000.owns", "o1000.owns/i5.userns"};

}  // namespace nsr::registry
