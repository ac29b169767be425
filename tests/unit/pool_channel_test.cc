// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pool/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"
#include "pool/slot.h"

namespace nsr::pool {
namespace {

class ChannelTest : public ::testing::Test {
protected:
    ChannelTest() {
        auto pair = sys::socket_pair(SOCK_SEQPACKET);
        manager.emplace(std::move(pair->first));
        worker.emplace(std::move(pair->second));
    }
    std::optional<Channel> manager, worker;
};

TEST_F(ChannelTest, CarriesAConnection) {
    Message message;
    message.type = MessageType::kServe;
    message.connection_id = 1ull << 60;
    message.peer = {.pid = 3, .uid = 4, .gid = 5};
    message.fd = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(manager->send(message));
    auto received = worker->receive();
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->type, MessageType::kServe);
    EXPECT_EQ((*received)->connection_id, 1ull << 60);
    EXPECT_EQ((*received)->peer.gid, 5u);
    ASSERT_TRUE((*received)->fd);
    EXPECT_EQ(fcntl((*received)->fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(ChannelTest, CarriesAParcelWithAndWithoutAConnection) {
    for (bool with_connection : {false, true}) {
        Message message;
        message.type = MessageType::kConnectionParked;
        if (with_connection) message.fd = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        message.parcel = UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
        auto sent = sys::stat_fd(message.parcel.borrow());
        ASSERT_TRUE(manager->send(message));
        auto received = worker->receive();
        ASSERT_TRUE(received && *received);
        EXPECT_EQ(static_cast<bool>((*received)->fd), with_connection);
        ASSERT_TRUE((*received)->parcel);
        EXPECT_EQ(sys::stat_fd((*received)->parcel.borrow())->st_rdev, sent->st_rdev);
    }
}

TEST_F(ChannelTest, CarriesNamespaces) {
    Message message;
    message.type = MessageType::kRelease;
    for (uint64_t i = 0; i < kMaxNamespaces; ++i) message.namespaces.push_back({NsInode(i), NsId(i + 1)});
    ASSERT_TRUE(manager->send(message));
    auto received = worker->receive();
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->namespaces, message.namespaces);
    EXPECT_FALSE((*received)->fd);
}

TEST_F(ChannelTest, SaysThatNoDescriptorWasLeftForWhatItCarries) {
    Message message;
    message.type = MessageType::kConnectionParked;
    message.connection_id = 9;
    message.parcel = UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(manager->send(message));
    struct rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    auto received = worker->receive();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->descriptors, Message::Descriptors::kLost);
    EXPECT_EQ((*received)->connection_id, 9u);
    EXPECT_FALSE((*received)->parcel);
}

TEST_F(ChannelTest, SaysThatTheOtherSideIsGone) {
    manager.reset();
    auto received = worker->receive();
    ASSERT_TRUE(received);
    EXPECT_FALSE(*received);
    EXPECT_FALSE(worker->send(Message{}));
}

TEST_F(ChannelTest, RefusesAMessageOfAnotherLength) {
    ASSERT_EQ(write(manager->fd().get(), "short", 5), 5);
    EXPECT_FALSE(worker->receive());
}

TEST(Slot, IsSharedWithWhoeverHasTheDescriptor) {
    auto slot = Slot::create();
    ASSERT_TRUE(slot);
    EXPECT_EQ(slot->state(), WorkerState::kIdle);
    auto other = Slot::attach(UniqueFd(fcntl(slot->fd().get(), F_DUPFD_CLOEXEC, 0)));
    ASSERT_TRUE(other);
    other->set_state(WorkerState::kLingering);
    other->set_deadline_usec(9);
    EXPECT_EQ(slot->deadline_usec(), 9u);
    EXPECT_EQ(slot->state(), WorkerState::kLingering);
}

}  // namespace
}  // namespace nsr::pool
