// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "child.h"

namespace nsr::bench {

/// The floor of a look-up: a process that answers each request on a Unix socket, ended by a NUL, with so many bytes,
/// and serves one connection after the other.
class EchoServer {
public:
    static Result<EchoServer> start(const std::string& path, size_t reply_size);

    const std::string& path() const { return path_; }

private:
    EchoServer(Child child, std::string path) : child_(std::move(child)), path_(std::move(path)) {}

    Child child_;
    std::string path_;
};

}  // namespace nsr::bench
