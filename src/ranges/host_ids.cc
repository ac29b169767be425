// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/host_ids.h"

#include <optional>
#include <utility>

namespace nsr::ranges {

namespace {

/// The user and group that stand for the root of a namespace of this name (interface.md section 2, Common rules).
std::string account_of(std::string_view name) { return name.empty() ? std::string() : fmt::format("ns-{}-0", name); }

HostIds::Use verdict(const HostAnswer& answer) {
    if (answer.account_known) return HostIds::Use::kNameKnown;
    return answer.id_known ? HostIds::Use::kTaken : HostIds::Use::kFree;
}

}  // namespace

HostIds::HostIds(Config config)
    : passwd_(std::move(config.passwd), IdTable::Format::kUsers),
      group_(std::move(config.group), IdTable::Format::kGroups),
      subuid_(std::move(config.subuid), IdTable::Format::kSubordinates),
      subgid_(std::move(config.subgid), IdTable::Format::kSubordinates),
      nss_(std::move(config.nsswitch)),
      services_(std::move(config.userdb_directories), std::move(config.own_socket)) {}

Result<HostIds::Use> HostIds::check_files(Uid start, uint32_t size, std::string_view name) {
    return verdict(TRY(look_into_files(start, size, account_of(name))));
}

Result<HostIds::Use> HostIds::check(Uid start, uint32_t size, std::string_view name, uint64_t deadline_usec) {
    HostQuery query{size > 0 ? std::optional(start) : std::nullopt, account_of(name)};
    HostAnswer answer = TRY(look_into_files(start, size, query.account));
    if (answer.is_final_for(query)) return verdict(answer);
    // The modules work while the services are asked.
    std::optional<ChildProbe> modules = TRY(nss_.start(query));
    answer |= services_.ask(query, deadline_usec);
    if (modules && !answer.is_final_for(query)) answer |= nss_.finish(*std::move(modules), deadline_usec);
    return verdict(answer);
}

Result<HostAnswer> HostIds::look_into_files(Uid start, uint32_t size, const std::string& account) {
    if (size > 0 && (start.value > kAllIds.last || size - 1 > kAllIds.last - start.value))
        return fail(EINVAL, "{} ids from {} are no range", size, start);
    HostAnswer answer;
    for (IdFile* file : {&passwd_, &group_, &subuid_, &subgid_}) {
        const IdTable* table = TRY(file->current());
        answer.id_known |= size > 0 && table->overlaps({start.value, start.value + (size - 1)});
        answer.account_known |= !account.empty() && table->has_account(account);
    }
    return answer;
}

}  // namespace nsr::ranges
