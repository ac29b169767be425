// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "hostdb/child_probe.h"
#include "ranges/host_answer.h"
#include "ranges/watched_file.h"

namespace nsr::hostdb {

/// Whether nsswitch.conf(5) names a module for users or groups that the files and the userdb services do not cover.
enum class NssModules { kCovered, kOthers };
NssModules parse_nsswitch(std::string_view text);

/// Asks the modules of the name service switch, if there are others than those covered anyway, in a throw-away process:
/// modules such as nss_sss or nss_ldap are other people's code, and may hang on a network.
class NssLookup {
public:
    explicit NssLookup(std::string nsswitch_path);

    /// Begins to ask; nothing is running where there is no need to. Errors: EFBIG, EACCES, … of the file; no process.
    Result<std::optional<ForkedChild>> start(const ranges::HostQuery& query);
    /// What is known by the deadline. Silence and failure: nothing, and a warning the first time.
    ranges::HostAnswer finish(ForkedChild child, uint64_t deadline_usec);

private:
    ranges::WatchedFile file_;
    NssModules modules_ = NssModules::kCovered;
    enum class Warned { kNo, kYes } warned_ = Warned::kNo;
};

}  // namespace nsr::hostdb
