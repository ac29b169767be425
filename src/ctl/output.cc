// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/output.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <string>

#include "base/fd.h"
#include "base/printable.h"
#include "base/sys.h"

namespace nsr::ctl {

namespace {

constexpr int kNoPager = 127;
constexpr BorrowedFd kOutput(STDOUT_FILENO);

/// In the child: becomes the pager (less(1) where none is wanted in particular), which reads from `input`.
[[noreturn]] void become_pager(const std::string& wanted, BorrowedFd input) {
    ::dup2(input.get(), STDIN_FILENO);
    // The tool is often run through sudo: less(1) must not offer a root shell to somebody who may only list.
    ::setenv("LESSSECURE", "1", 1);
    if (!wanted.empty()) {
        ::execl("/bin/sh", "sh", "-c", wanted.c_str(), nullptr);
    } else {
        ::execlp("less", "less", "-FRSXMK", nullptr);
    }
    ::_exit(kNoPager);
}

/// Gives kNoPager where nothing was shown.
Result<int> page(std::string_view text, const std::string& wanted) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return fail_errno(errno, "pipe2");
    UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t pager = ::fork();
    if (pager < 0) return fail_errno(errno, "fork");
    if (pager == 0) become_pager(wanted, reading.borrow());
    reading.reset();

    // A reader who has seen enough closes the pipe: no reason to die before the terminal is tidy again.
    ::signal(SIGPIPE, SIG_IGN);
    Status written = sys::write_all(writing.borrow(), text);
    writing.reset();
    int status = 0;
    while (::waitpid(pager, &status, 0) < 0)
        if (errno != EINTR) return fail_errno(errno, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNoPager) return kNoPager;
    if (!written && written.error().code() != EPIPE) return Failure(std::move(written).error());
    return 0;
}

}  // namespace

Status print(const Setting& setting, std::string_view raw) {
    const std::string text = printable_lines(raw);
    const char* variable = ::getenv("PAGER");
    const std::string wanted = variable == nullptr ? "" : variable;
    const bool refused = variable != nullptr && (wanted.empty() || wanted == "cat");
    if (setting.paging == Paging::kOnTerminal && !refused && ::isatty(STDOUT_FILENO) == 1)
        if (TRY(page(text, wanted)) != kNoPager) return {};
    return sys::write_all(kOutput, text);
}

}  // namespace nsr::ctl
