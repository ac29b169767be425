// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/progress.h"

#include <unistd.h>
#include <cstdio>

#include "base/printable.h"
#include "base/sys.h"

namespace nsr::ctl {

namespace {

constexpr uint64_t kTerminalUsec = 200'000;
constexpr uint64_t kFileUsec = 1'000'000;
/// So that the line does not wrap, and can be written over.
constexpr size_t kMaxColumns = 76;

}  // namespace

ProgressLine::ProgressLine(Wanted wanted) : wanted_(wanted), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
    if (is_dirty_) fmt::print(stderr, "\r\x1b[K");
}

void ProgressLine::show(const std::string& text) {
    if (wanted_ == Wanted::kNo || text == last_ || sys::now_usec() < next_usec_) return;
    last_ = text;
    next_usec_ = sys::now_usec() + (is_terminal_ ? kTerminalUsec : kFileUsec);
    const std::string shown = printable(text);
    if (!is_terminal_) return fmt::print(stderr, "{}\n", shown);
    is_dirty_ = true;
    fmt::print(stderr, "\r{}\x1b[K", first_columns(shown, kMaxColumns));
}

}  // namespace nsr::ctl
