// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/sys.h"

namespace nsr::ranges {

/// A directory of its own for each test, gone after it; on a tmpfs, since some of them sync thousands of times.
class Scratch : public testing::Test {
protected:
    Scratch() {
        char pattern[] = "/dev/shm/nsr-ranges-XXXXXX";
        if (!mkdtemp(pattern)) abort();
        path_ = pattern;
    }
    ~Scratch() override { std::filesystem::remove_all(path_); }

    std::string path(const std::string& name) const { return path_ + "/" + name; }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(path(name), std::ios::binary) << content;
    }
    UniqueFd directory(const std::string& name) const {
        std::filesystem::create_directories(path(name));
        return sys::open_at(sys::kCwd, path(name), O_RDONLY | O_DIRECTORY).value();
    }

    std::string path_;
};

}  // namespace nsr::ranges
