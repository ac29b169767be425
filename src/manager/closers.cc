// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/closers.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <iterator>

#include "base/forked_child.h"
#include "base/log.h"
#include "base/sys.h"

namespace nsr::manager {

namespace {

/// fork(2) copies the table of descriptors. It may take one part in so many of the manager's time.
constexpr uint64_t kForkPart = 20;
constexpr uint64_t kLongestCollectUsec = 250'000;
/// Until what waits for a process to end is looked at again.
constexpr uint64_t kAgainUsec = 250'000;
/// A process whose end takes longer is held in the kernel.
constexpr uint64_t kHeldUsec = 1'000'000;
/// For the last process to end before the manager does, so that usually none is left behind.
constexpr uint64_t kFinishUsec = 200'000;

void kill_holder(BorrowedFd pidfd) { syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0); }

// Nothing can follow once the socket is shut down for reading (unix_stream_sendmsg() answers EPIPE), and with an empty
// queue there is nothing that close(2) would have to let go.
bool is_quick_to_close(BorrowedFd socket) {
    shutdown(socket.get(), SHUT_RDWR);
    int queued = 0;
    return ioctl(socket.get(), SIOCINQ, &queued) == 0 && queued == 0;
}

}  // namespace

pid_t fork_holder(std::vector<int> fds, BorrowedFd ready) {
    pid_t parent = getpid();
    fds.push_back(ready.get());
    std::ranges::sort(fds);
    // No ForkedChild, which would be waited for: its end is what takes long.
    pid_t pid = fork();
    if (pid != 0) return pid;
    // The manager's handlers and blocked signals are of no use here: only SIGKILL ends this process.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_SUCCESS);
    // The copies here are not the last ones of what is closed here, so that nothing of it takes long.
    static_cast<void>(close_all_but(fds, 0));
    char byte = 1;
    [[maybe_unused]] ssize_t n = write(ready.get(), &byte, 1);
    for (;;) pause();
}

Status Closers::start() {
    timer_ = TRY(loop_.make_timer([this] {
        armed_ = false;
        work();
    }));
    if (waiting_count_ > 0) arm(collect_usec_);
    return {};
}

void Closers::arm(uint64_t usec) {
    if (timer_ && !std::exchange(armed_, true)) timer_.fire_after(usec);
}

void Closers::close_socket(Uid user, UniqueFd socket) {
    if (!socket || is_quick_to_close(socket.borrow())) return;
    close(user, std::move(socket));
}

void Closers::close(Uid user, UniqueFd fd) {
    if (!fd) return;
    waiting_of(user).push_back(std::move(fd));
    ++waiting_count_;
    ++waiting_by_user_[user];
    arm(collect_usec_);
}

size_t Closers::count_held(Uid user) const {
    uint64_t now = sys::now_usec();
    return static_cast<size_t>(std::ranges::count_if(closers_, [&](const auto& closer) {
        return closer->user == user && closer->killed_at_usec != 0 && closer->killed_at_usec + kHeldUsec < now;
    }));
}

std::vector<UniqueFd>& Closers::waiting_of(Uid user) {
    auto found = std::ranges::find(waiting_, user, &Waiting::user);
    if (found != waiting_.end()) return found->fds;
    return waiting_.emplace_back(user, std::vector<UniqueFd>()).fds;
}

size_t Closers::waiting(Uid user) const {
    auto found = waiting_by_user_.find(user);
    return found == waiting_by_user_.end() ? 0 : found->second;
}

size_t Closers::most_waiting() const {
    size_t most = 0;
    for (const auto& [user, count] : waiting_by_user_) most = std::max(most, count);
    return most;
}

void Closers::discount(Uid user, size_t closed) {
    waiting_count_ -= closed;
    auto count = waiting_by_user_.find(user);
    if ((count->second -= closed) == 0) waiting_by_user_.erase(count);
}

bool Closers::may_start(const Waiting& waiting) const {
    auto running = static_cast<size_t>(
        std::ranges::count_if(closers_, [&](const auto& closer) { return closer->user == waiting.user; }));
    if (closers_.size() >= (running == 0 ? kMaxUnderPressure : kMax)) return false;
    return running < (waiting.fds.size() > max_waiting_ ? kMaxPerUserUnderPressure : kMaxPerUser);
}

// One at a time: until it is ready, a process has copies of everything, also of what another user's is to close.
void Closers::work() {
    bool is_starting = std::ranges::any_of(closers_, [](const auto& closer) { return closer->killed_at_usec == 0; });
    if (is_starting || waiting_.empty()) return;
    auto next = std::ranges::find_if(waiting_, [this](const Waiting& waiting) { return may_start(waiting); });
    if (next == waiting_.end()) return arm(kAgainUsec);
    uint64_t begin = sys::now_usec();
    auto started = start_closer(*next);
    collect_usec_ = std::clamp((sys::now_usec() - begin) * kForkPart, kCollectUsec, kLongestCollectUsec);
    if (started) {
        waiting_.erase(next);
    } else {
        log::OnBehalfOf user(next->user);
        log::error("Descriptors of user {} stay open for now: {}", next->user, started.error().what());
        arm(kAgainUsec);
    }
}

// Takes the descriptors of `waiting` where it succeeds.
Status Closers::start_closer(Waiting& waiting) {
    auto pair = TRY(sys::socket_pair(SOCK_STREAM));
    std::vector<int> numbers;
    for (const auto& fd : waiting.fds) numbers.push_back(fd.get());
    pid_t pid = fork_holder(std::move(numbers), pair.second.borrow());
    int code = errno;
    if (pid < 0) return fail_errno(code, "fork");
    auto closer = std::make_unique<Closer>();
    closer->user = waiting.user;
    closer->pid = pid;
    closer->pidfd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    code = errno;
    if (!closer->pidfd) {
        // It has copies only: the descriptors still wait here.
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        return fail_errno(code, "pidfd_open");
    }
    closer->ready = std::move(pair.first);
    Closer* raw = closer.get();
    auto ready_source = loop_.watch_fd(raw->ready.borrow(), EPOLLIN, [this, raw] { on_ready(*raw); });
    auto exit_source = loop_.watch_fd(raw->pidfd.borrow(), EPOLLIN, [this, raw] { on_exit(*raw); });
    if (!ready_source || !exit_source) {
        kill_holder(raw->pidfd.borrow());
        waitpid(pid, nullptr, 0);
        return fail(ENOMEM, "cannot watch the process");
    }
    closer->ready_source = std::move(*ready_source);
    closer->exit_source = std::move(*exit_source);
    closer->fds = std::move(waiting.fds);
    closers_.push_back(std::move(closer));
    return {};
}

// The process has its copies and nothing else. From here on its are the last ones, unless it has died meanwhile.
void Closers::on_ready(Closer& closer) {
    struct pollfd ended{closer.pidfd.get(), POLLIN, 0};
    auto has_ended = sys::poll({&ended, 1}, 0);
    if (!has_ended) return;  // it is asked again at once
    if (closer.killed_at_usec != 0 || *has_ended > 0) return closer.ready_source.disable();
    discount(closer.user, closer.fds.size());
    closer.fds.clear();
    kill_holder(closer.pidfd.borrow());
    closer.killed_at_usec = sys::now_usec();
    closer.ready_source = Source();
    closer.ready.reset();
    on_progress_();
    if (!waiting_.empty()) arm(collect_usec_);
}

void Closers::on_exit(Closer& closer) {
    waitpid(closer.pid, nullptr, WNOHANG);
    // It was killed before it was ready, by the kernel for want of memory or by an administrator: its descriptors are
    // still ours.
    if (!closer.fds.empty()) std::ranges::move(closer.fds, std::back_inserter(waiting_of(closer.user)));
    auto place = std::ranges::find_if(closers_, [&](const auto& candidate) { return candidate.get() == &closer; });
    closers_.erase(place);
    arm(collect_usec_);
}

// The last process is killed by the kernel when the manager is gone, if not before.
void Closers::finish() {
    std::vector<UniqueFd> fds;
    for (auto& waiting : waiting_) std::ranges::move(waiting.fds, std::back_inserter(fds));
    for (auto& closer : closers_) std::ranges::move(closer->fds, std::back_inserter(fds));
    waiting_.clear();
    waiting_count_ = 0;
    waiting_by_user_.clear();
    closers_.clear();
    if (fds.empty()) return;
    std::vector<int> numbers;
    for (const auto& fd : fds) numbers.push_back(fd.get());
    auto pair = sys::socket_pair(SOCK_STREAM);
    pid_t pid = pair ? fork_holder(std::move(numbers), pair->second.borrow()) : -1;
    if (pid < 0) {
        log::warning("No process can be had that closes what clients have left");
        // Then it is closed by the end of this one, which does not linger at least.
        for (auto& fd : fds) static_cast<void>(fd.release());
        return;
    }
    fds.clear();
    kill(pid, SIGKILL);
    UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    struct pollfd ended{pidfd.get(), POLLIN, 0};
    if (pidfd && sys::poll({&ended, 1}, kFinishUsec).value_or(0) > 0) waitpid(pid, nullptr, 0);
}

}  // namespace nsr::manager
