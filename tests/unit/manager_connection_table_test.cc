// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/connection_table.h"

#include <gtest/gtest.h>

namespace nsr::manager {
namespace {

class ConnectionTableTest : public ::testing::Test {
protected:
    Connection& add(uid_t uid) { return table.add(UniqueFd(), {.pid = 1, .uid = uid, .gid = uid}); }
    Connection* next() {
        Connection* connection = table.next([](const Account&) { return true; });
        if (connection) table.set_served(*connection);
        return connection;
    }

    ConnectionTable table{8};
};

TEST_F(ConnectionTableTest, UidsTakeTurns) {
    std::vector<uid_t> order;
    for (int i = 0; i < 3; ++i) table.set_waiting(add(1000));
    table.set_waiting(add(1001));
    table.set_waiting(add(1002));
    while (Connection* connection = next()) order.push_back(connection->peer.uid);
    EXPECT_EQ(order, (std::vector<uid_t>{1000, 1001, 1002, 1000, 1000}));
    EXPECT_FALSE(table.anybody_waits());
}

TEST_F(ConnectionTableTest, AUidThatMayNotGoIsPassedOver) {
    table.set_waiting(add(1000));
    Connection& other = add(1001);
    table.set_waiting(other);
    auto not_1000 = [](const Account& account) { return account.uid != Uid(1000); };
    EXPECT_EQ(table.next(not_1000), &other);
    table.set_served(other);
    EXPECT_EQ(table.next(not_1000), nullptr);
    EXPECT_TRUE(table.anybody_waits());
}

TEST_F(ConnectionTableTest, TheHeaviestUidLosesItsLongestIdleOne) {
    Connection& lonely = add(1001);
    table.set_idle(lonely);
    Connection& first = add(1000);
    Connection& second = add(1000);
    table.set_idle(first);
    table.set_idle(second);
    EXPECT_EQ(table.to_evict(), &first);
    table.set_idle(first);  // it was active: now the other one has been idle longer
    EXPECT_EQ(table.to_evict(), &second);
}

TEST_F(ConnectionTableTest, WhatAWorkerHasIsNotEvicted) {
    add(1000);
    EXPECT_EQ(table.to_evict(), nullptr);
}

TEST_F(ConnectionTableTest, AUidWhoseConnectionsAllWaitIsNoBetterOff) {
    table.set_idle(add(1001));
    table.set_waiting(add(1000));
    Connection& last = add(1000);
    table.set_waiting(last);
    EXPECT_EQ(table.to_evict(), &last);
}

TEST_F(ConnectionTableTest, ForgetsWhatIsRemovedInAnyState) {
    Connection& idle = add(1000);
    table.set_idle(idle);
    Connection& waiting = add(1000);
    table.set_waiting(waiting);
    Connection& served = add(1001);
    uint64_t id = served.id;
    table.remove(idle);
    table.remove(waiting);
    table.remove(served);
    EXPECT_EQ(table.size(), 0u);
    EXPECT_EQ(table.find(id), nullptr);
    EXPECT_EQ(next(), nullptr);
    EXPECT_EQ(table.to_evict(), nullptr);
}

TEST_F(ConnectionTableTest, KnowsHalfSentMessages) {
    Connection& half = add(1000);
    half.partial_since_usec = 5;
    EXPECT_TRUE(table.partial().empty()) << "a worker has it";
    table.set_idle(half);
    EXPECT_EQ(table.partial(), std::vector{&half});
}

TEST_F(ConnectionTableTest, GivesEachConnectionAnotherId) {
    EXPECT_NE(add(1000).id, add(1000).id);
    EXPECT_NE(ConnectionTable(1).add(UniqueFd(), {}).id, ConnectionTable(1).add(UniqueFd(), {}).id)
        << "drawn by lot for each run";
}

}  // namespace
}  // namespace nsr::manager
