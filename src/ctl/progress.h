// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <string>

namespace nsr::ctl {

/// One line of standard error that changes, or, where that is no terminal, a line now and then.
class ProgressLine {
public:
    enum class Wanted { kNo, kYes };
    explicit ProgressLine(Wanted wanted);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    /// Only now and then something is written, however often this is called. The text is made printable.
    void show(const std::string& text);

private:
    Wanted wanted_;
    bool is_terminal_;
    bool is_dirty_ = false;
    uint64_t next_usec_ = 0;
    std::string last_;
};

}  // namespace nsr::ctl
