// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ranges/file_stamp.h"
#include "ranges/host_answer.h"

namespace nsr::hostdb {

/// The userdb services of this host, as in https://systemd.io/USER_GROUP_API: each socket in a few directories is one,
/// its file name is the service's. They are not trusted: what they do not answer in time and in form, they do not know.
class UserdbServices {
public:
    /// Services that are asked at most.
    static constexpr size_t kMaxServices = 64;

    /// `own_socket`: never asked, under whatever name or link it is found.
    UserdbServices(std::vector<std::string> directories, std::string own_socket)
        : directories_(std::move(directories)), own_socket_(std::move(own_socket)) {}

    /// Asks all of them at once; returns by the deadline, on sys::now_usec()'s clock, or when all is known.
    ranges::HostAnswer ask(const ranges::HostQuery& query, uint64_t deadline_usec);

private:
    struct Service {
        std::string name, path;
    };
    const std::vector<Service>& current();
    std::vector<Service> list();
    void warn(const std::string& name, std::string_view why);

    std::vector<std::string> directories_;
    std::string own_socket_;
    std::set<std::string> warned_;
    /// As found when the directories were in the states stamped.
    std::vector<Service> services_;
    std::vector<ranges::FileStamp> stamps_;
};

}  // namespace nsr::hostdb
