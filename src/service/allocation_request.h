// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "service/fault.h"

namespace nsr::service {

/// What a call of AllocateUserRange asks for, once it has been found to make sense (interface.md section 2).
struct AllocationRequest {
    enum class Type { kManaged, kSelf };

    static std::span<const varlink::Field> fields();
    /// InvalidParameter, TooManyDelegations.
    static OrFault<AllocationRequest> read(const varlink::Call& call);

    /// How many further ranges of 65536 ids, to be handed on, go with it.
    static constexpr int64_t kMaxDelegations = 16;
    /// The ids that foreign disk images are stored with (mapForeign).
    static constexpr uint32_t kForeignStart = 2147352576, kForeignSize = 65536;

    std::string name;
    Type type = Type::kManaged;
    uint32_t size = 0;
    std::optional<uint32_t> target;
    uint32_t delegations = 0;
    bool foreign = false;
};

}  // namespace nsr::service
