// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/peek.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "varlink/ancillary.h"

namespace {

int failures = 0, failure_code = 0;

}  // namespace

// In the place of the C library's, for peeking.
extern "C" ssize_t recv(int fd, void* buffer, size_t size, int flags) {
    if ((flags & MSG_PEEK) != 0 && failures > 0) {
        --failures;
        errno = failure_code;
        return -1;
    }
    return recvfrom(fd, buffer, size, flags, nullptr, nullptr);
}

namespace nsr::manager {
namespace {

class PeekTest : public ::testing::Test {
protected:
    PeekTest() {
        auto pair = std::move(*sys::socket_pair(SOCK_STREAM));
        connection.fd = std::move(pair.first);
        client = std::move(pair.second);
    }
    void send(std::string_view text) {
        ASSERT_EQ(::send(client.get(), text.data(), text.size(), MSG_DONTWAIT), static_cast<ssize_t>(text.size()));
    }
    void send_with_fd(std::string_view text) {
        iovec part{const_cast<char*>(text.data()), text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        std::vector<UniqueFd> fds;
        fds.emplace_back(dup(0));
        varlink::FdBuffer buffer;
        buffer.attach(message, fds);
        ASSERT_EQ(sendmsg(client.get(), &message, 0), static_cast<ssize_t>(text.size()));
    }
    std::string read_all() {
        char buffer[400'000];
        ssize_t n = recv(connection.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return n < 0 ? errno_name(errno) : std::string(buffer, static_cast<size_t>(n));
    }

    Connection connection;
    UniqueFd client;
    uint64_t now = 1'000'000'000;
};

TEST_F(PeekTest, AWholeMessageIsReadyAndStays) {
    send({"{}\0", 3});
    EXPECT_EQ(look(connection, now), Look::kReady);
    EXPECT_EQ(connection.seen, 0u);
    EXPECT_EQ(read_all(), std::string("{}\0", 3));
}

// It is edge-triggered: what was overlooked would never be seen.
TEST_F(PeekTest, AnInterruptionIsNotTheLackOfAMessage) {
    send({"{}\0", 3});
    failures = 5;
    failure_code = EINTR;
    EXPECT_EQ(look(connection, now), Look::kReady);
}

TEST_F(PeekTest, AShortageHasItLookedAtAgain) {
    for (int code : {ENOMEM, ENOBUFS}) {
        failures = 100;
        failure_code = code;
        EXPECT_EQ(look(connection, now), Look::kPartial);
        failures = 0;
        EXPECT_EQ(look(connection, now), Look::kNothing);
    }
    send({"{}\0", 3});
    failures = 1;
    EXPECT_EQ(look(connection, now), Look::kPartial);
    EXPECT_EQ(look(connection, now), Look::kReady);
}

TEST_F(PeekTest, LooksOnlyAtWhatIsNew) {
    EXPECT_EQ(look(connection, now), Look::kNothing);
    send("{");
    EXPECT_EQ(look(connection, now), Look::kPartial);
    EXPECT_EQ(connection.seen, 1u);
    EXPECT_EQ(look(connection, now), Look::kPartial);
    EXPECT_EQ(connection.seen, 1u);
    send({"}\0", 2});
    EXPECT_EQ(look(connection, now), Look::kReady);
    ASSERT_TRUE(stop_looking(connection));
    EXPECT_EQ(read_all(), std::string("{}\0", 3));
}

TEST_F(PeekTest, AfterwardsAPeekBeginsAtTheFirstByteAgain) {
    send("{");
    EXPECT_EQ(look(connection, now), Look::kPartial);
    ASSERT_TRUE(stop_looking(connection));
    char byte = 0;
    EXPECT_EQ(recv(connection.fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    EXPECT_EQ(byte, '{');
}

TEST_F(PeekTest, SeesBeyondDescriptors) {
    send_with_fd("{");
    send({"}\0", 2});
    EXPECT_EQ(look(connection, now), Look::kReady);
}

TEST_F(PeekTest, ASenderThatIsGoneWillNotSendTheRest) {
    send("{");
    EXPECT_EQ(look(connection, now), Look::kPartial);
    client.reset();
    EXPECT_EQ(look(connection, now), Look::kOver);
}

TEST_F(PeekTest, WhatMayFillTheBufferIsLarge) {
    send(std::string(65535, ' '));
    EXPECT_EQ(look(connection, now), Look::kPartial);
    send(" ");
    EXPECT_EQ(look(connection, now), Look::kLarge);
}

TEST_F(PeekTest, ASmallBufferMayBeFullIfNothingMoreComes) {
    send("{");
    EXPECT_EQ(look(connection, now), Look::kPartial);
    EXPECT_EQ(look(connection, now + 30'000), Look::kPartial);
    send(" ");
    EXPECT_EQ(look(connection, now + 40'000), Look::kPartial);
    EXPECT_EQ(look(connection, now + 60'000), Look::kPartial);
    EXPECT_EQ(look(connection, now + 100'000), Look::kLarge);
}

}  // namespace
}  // namespace nsr::manager
