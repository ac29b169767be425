// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/host_ids.h"

#include <optional>
#include <utility>

namespace nsr::hostdb {

namespace {

/// The user and group that stand for the root of a namespace of this name (interface.md section 2, Common rules).
std::string account_of(std::string_view name) { return name.empty() ? std::string() : fmt::format("ns-{}-0", name); }

HostIds::Use verdict(const ranges::HostAnswer& answer) {
    if (answer.account_known) return HostIds::Use::kNameKnown;
    return answer.id_known ? HostIds::Use::kTaken : HostIds::Use::kFree;
}

}  // namespace

HostIds::HostIds(Config config)
    : files_(std::move(config.files)),
      nss_(std::move(config.nsswitch)),
      services_(std::move(config.userdb_directories), std::move(config.own_socket)) {}

Result<HostIds::Use> HostIds::check(Uid start, uint32_t size, std::string_view name, uint64_t deadline_usec) {
    ranges::HostQuery query{size > 0 ? std::optional(start) : std::nullopt, account_of(name)};
    ranges::HostAnswer answer = TRY(files_.look(start, size, query.account));
    if (answer.is_final_for(query)) return verdict(answer);
    // The modules work while the services are asked.
    std::optional<ForkedChild> modules = TRY(nss_.start(query));
    answer |= services_.ask(query, deadline_usec);
    if (modules && !answer.is_final_for(query)) answer |= nss_.finish(*std::move(modules), deadline_usec);
    return verdict(answer);
}

}  // namespace nsr::hostdb
