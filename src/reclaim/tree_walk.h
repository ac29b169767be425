// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "reclaim/findings.h"

struct statx;

namespace nsr::reclaim {

/// Looks at each inode of a tree, without crossing into another mount, following a symbolic link, or opening anything
/// but directories. Trees may be hostile: any depth costs a bounded number of descriptors. What cannot be looked at is
/// a problem among the findings. Changes the working directory of the process.
class TreeWalk {
public:
    /// `tick` is called for each inode.
    TreeWalk(Findings& findings, std::function<void()> tick) : findings_(findings), tick_(std::move(tick)) {}

    /// `label` stands for the root in what people are shown.
    void walk(BorrowedFd root, const std::string& label);
    /// One object that is no directory; the descriptor may be O_PATH, and `proc_fds` is /proc/self/fd.
    void look(BorrowedFd object, BorrowedFd proc_fds, const std::string& label);

private:
    struct Frame {
        UniqueFd fd;  ///< closed in what is far above
        std::string name;
        dev_t device;
        ino_t inode;
        std::vector<std::string> directories;  ///< still to be walked
    };
    enum class Go { kOn, kStop };

    Result<Frame> enter(UniqueFd fd, std::string name);
    Status list(Frame& frame);
    void look_at_entry(Frame& frame, const char* name);
    void note(const struct statx& stx, const char* name, int flags, const Findings::Where& where);
    Status append_xattrs(const char* name, int flags, std::vector<uint32_t>& ids);
    void descend();
    Go ascend();
    std::string path(std::string_view name) const;

    Findings& findings_;
    std::function<void()> tick_;
    std::string label_;
    std::vector<Frame> frames_;
    std::vector<char> names_ = std::vector<char>(65536), value_ = std::vector<char>(65536);
};

}  // namespace nsr::reclaim
