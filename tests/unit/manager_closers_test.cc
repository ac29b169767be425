// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/closers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <optional>

#include "base/sys.h"
#include "varlink/ancillary.h"

namespace nsr::manager {
namespace {

constexpr uint64_t kPatienceUsec = 20'000'000;

/// A descriptor whose last copy has gone when the other end of the pipe sees the end.
struct Witness {
    UniqueFd reading, writing;

    static Witness make() {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        return {UniqueFd(fds[0]), UniqueFd(fds[1])};
    }
    bool is_gone() const {
        char byte;
        return read(reading.get(), &byte, 1) == 0;
    }
};

class ClosersTest : public ::testing::Test {
protected:
    ClosersTest() : loop(std::move(*EventLoop::create())) {
        closers.emplace(loop, 64, [this] { ++progress; });
        EXPECT_TRUE(closers->start());
    }

    template <class Condition>
    bool run_until(Condition condition) {
        uint64_t end = sys::now_usec() + kPatienceUsec;
        Source look = std::move(*loop.make_timer([&] {
            if (condition() || sys::now_usec() > end) return loop.stop(0);
            look.fire_after(1000);
        }));
        look.fire_after(0);
        EXPECT_TRUE(loop.run());
        return condition();
    }

    void send(BorrowedFd socket, UniqueFd fd) {
        char byte = '{';
        iovec part{&byte, 1};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        std::vector<UniqueFd> fds;
        fds.push_back(std::move(fd));
        varlink::FdBuffer buffer;
        buffer.attach(message, fds);
        ASSERT_EQ(sendmsg(socket.get(), &message, 0), 1);
    }

    EventLoop loop;
    int progress = 0;
    std::optional<Closers> closers;
};

TEST_F(ClosersTest, ASocketWithAnEmptyQueueIsClosedAtOnce) {
    auto pair = std::move(*sys::socket_pair(SOCK_STREAM));
    closers->close_socket(Uid(1000), std::move(pair.first));
    EXPECT_EQ(closers->waiting(), 0u);
    char byte;
    EXPECT_EQ(read(pair.second.get(), &byte, 1), 0);
}

TEST_F(ClosersTest, WhatLiesInTheQueueIsClosedByAProcess) {
    auto pair = std::move(*sys::socket_pair(SOCK_STREAM));
    auto witness = Witness::make();
    send(pair.second.borrow(), std::move(witness.writing));
    closers->close_socket(Uid(1000), std::move(pair.first));
    EXPECT_EQ(closers->waiting(), 1u);
    EXPECT_EQ(closers->waiting(Uid(1000)), 1u);
    EXPECT_FALSE(witness.is_gone());
    // The client need not wait for that.
    EXPECT_EQ(::send(pair.second.get(), "x", 1, MSG_NOSIGNAL), -1);
    EXPECT_TRUE(run_until([&] { return witness.is_gone() && progress == 1; }));
    EXPECT_EQ(closers->waiting(), 0u);
}

TEST_F(ClosersTest, WhatWaitsForItsProcessToStartIsStillItsUsers) {
    auto witness = Witness::make();
    closers->close(Uid(1000), std::move(witness.writing));
    closers->work();
    EXPECT_EQ(closers->waiting(), 1u);
    EXPECT_EQ(closers->waiting(Uid(1000)), 1u);
    EXPECT_EQ(closers->most_waiting(), 1u);
    EXPECT_TRUE(run_until([&] { return witness.is_gone() && closers->waiting() == 0; }));
    EXPECT_EQ(closers->most_waiting(), 0u);
}

TEST_F(ClosersTest, UsersDoNotShareAProcess) {
    auto first = Witness::make(), second = Witness::make();
    closers->close(Uid(1000), std::move(first.writing));
    closers->close(Uid(1001), std::move(second.writing));
    EXPECT_TRUE(run_until([&] { return first.is_gone() && second.is_gone() && progress == 2; }));
    EXPECT_EQ(closers->count_held(Uid(1000)), 0u);
}

TEST_F(ClosersTest, AtTheEndEverythingIsLetGo) {
    auto witness = Witness::make();
    closers->close(Uid(1000), std::move(witness.writing));
    closers->finish();
    EXPECT_EQ(closers->waiting(), 0u);
    EXPECT_TRUE(run_until([&] { return witness.is_gone(); }));
}

TEST_F(ClosersTest, AProcessThatDiesEarlyIsMadeAgain) {
    auto witness = Witness::make();
    closers->close(Uid(1000), std::move(witness.writing));
    closers->work();
    // Before it could say that it is ready, or after: its death must not make the manager the last holder.
    std::string children = *sys::read_file_at(sys::kCwd, fmt::format("/proc/self/task/{}/children", getpid()), 4096);
    for (const char* at = children.c_str(); *at;) {
        char* end = nullptr;
        auto pid = static_cast<pid_t>(strtol(at, &end, 10));
        if (pid > 0) kill(pid, SIGKILL);
        at = *end ? end + 1 : end;
    }
    EXPECT_TRUE(run_until([&] { return witness.is_gone(); }));
}

}  // namespace
}  // namespace nsr::manager
