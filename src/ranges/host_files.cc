// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ranges/host_files.h"

#include <utility>

namespace nsr::ranges {

HostFiles::HostFiles(Paths paths)
    : passwd_(std::move(paths.passwd), IdTable::Format::kUsers),
      group_(std::move(paths.group), IdTable::Format::kGroups),
      subuid_(std::move(paths.subuid), IdTable::Format::kSubordinates),
      subgid_(std::move(paths.subgid), IdTable::Format::kSubordinates) {}

Result<HostAnswer> HostFiles::look(Uid start, uint32_t size, const std::string& account) {
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
