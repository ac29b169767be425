// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/status_file.h"

#include "base/sys.h"
#include "registry/json_text.h"

namespace nsr::ctl {

namespace {

constexpr size_t kMaxStatusSize = 64 * 1024;

}  // namespace

Result<boost::json::object> read_status_file(const Setting& setting) {
    auto text = sys::read_file_at(sys::kCwd, setting.resource_directory() + "/status", kMaxStatusSize);
    if (!text && text.error().code() == ENOENT) return boost::json::object();
    if (!text) return Failure(std::move(text).error());
    return TRY_WITHIN("status file", registry::parse_object(*text, {}));
}

}  // namespace nsr::ctl
