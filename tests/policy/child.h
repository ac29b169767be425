// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace nsr::channels {

/// Something that a child process does; answers 0 or an errno value (see also lacking()).
using Body = std::function<int()>;

/// Does it in a child with a time limit. ETIMEDOUT: it had to be killed; ECHILD: it ended without an answer.
int run_child(const Body& body);

/// A child that goes on running while the parent looks at it; killed with the object.
class Companion {
public:
    /// Waits until the child has answered once: it calls `ready` with a code, then returns when `wait` does.
    using Story = std::function<void(const std::function<void(int)>& ready)>;
    explicit Companion(const Story& story);
    ~Companion();
    Companion(const Companion&) = delete;
    Companion& operator=(const Companion&) = delete;

    int pid() const { return pid_; }
    /// What the child said first; ECHILD if it ended without a word, ETIMEDOUT.
    int answer() const { return answer_; }

private:
    int pid_ = -1;
    int answer_ = ECHILD;
};

/// A page that a child and its parent share.
struct Page {
    Page();
    ~Page();
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;

    char* text;
};

/// Descriptors over a socket pair.
int send_descriptor(BorrowedFd socket, BorrowedFd fd);
/// No descriptor came: an empty one.
UniqueFd receive_descriptor(BorrowedFd socket);

}  // namespace nsr::channels
