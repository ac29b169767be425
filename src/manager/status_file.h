// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "lifecycle/instance.h"
#include "manager/event_loop.h"
#include "manager/kernel_side.h"

namespace nsr::manager {

/// `<runtime>/nsresource/status`, for nsresourcectl: there from write() until this is destroyed, so that it tells
/// nothing of a service that does not run.
class StatusFile {
public:
    StatusFile(BorrowedFd runtime, const KernelSide& kernel, const lifecycle::Instance& context)
        : runtime_(runtime), kernel_(kernel), context_(context) {}
    StatusFile(const StatusFile&) = delete;
    StatusFile& operator=(const StatusFile&) = delete;
    ~StatusFile();

    Status write();
    /// Keeps the figures of `quarantine` up to date, for as long as the source lives.
    Result<Source> refresh(EventLoop& loop);

private:
    /// Ranges that can still be handed out.
    struct Fresh {
        uint32_t containers = 0, singles = 0;
        bool operator==(const Fresh&) const = default;
    };
    Result<Fresh> count_fresh() const;

    BorrowedFd runtime_;
    const KernelSide& kernel_;
    const lifecycle::Instance& context_;
    Fresh written_;
};

}  // namespace nsr::manager
