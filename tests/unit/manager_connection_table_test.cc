// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/connection_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace nsr::manager {
namespace {

class ConnectionTableTest : public ::testing::Test {
protected:
    Connection& add(uid_t uid) { return table.add(UniqueFd(), {.pid = 1, .uid = uid, .gid = uid}, Uid(uid)); }
    Connection* next() {
        Connection* connection = table.next([](const Account&) { return true; });
        if (connection) table.set_served(*connection);
        return connection;
    }

    Connection* to_evict() {
        return table.to_evict([this](Uid user) { return user == waiting_user ? size_t{100} : 0; });
    }

    Uid waiting_user = kNoUser;
    ConnectionTable table{8};
};

TEST_F(ConnectionTableTest, UsersTakeTurns) {
    std::vector<uid_t> order;
    for (int i = 0; i < 3; ++i) table.set_waiting(add(1000));
    table.set_waiting(add(1001));
    table.set_waiting(add(1002));
    while (Connection* connection = next()) order.push_back(connection->peer.uid);
    EXPECT_EQ(order, (std::vector<uid_t>{1000, 1001, 1002, 1000, 1000}));
    EXPECT_FALSE(table.anybody_waits());
}

TEST_F(ConnectionTableTest, AUserThatMayNotGoIsPassedOver) {
    table.set_waiting(add(1000));
    Connection& other = add(1001);
    table.set_waiting(other);
    auto not_1000 = [](const Account& account) { return account.user != Uid(1000); };
    EXPECT_EQ(table.next(not_1000), &other);
    table.set_served(other);
    EXPECT_EQ(table.next(not_1000), nullptr);
    EXPECT_TRUE(table.anybody_waits());
}

TEST_F(ConnectionTableTest, TheHeaviestUserLosesItsLongestIdleOne) {
    Connection& lonely = add(1001);
    table.set_idle(lonely);
    Connection& first = add(1000);
    Connection& second = add(1000);
    table.set_idle(first);
    table.set_idle(second);
    EXPECT_EQ(to_evict(), &first);
    table.set_idle(first);  // it was active: now the other one has been idle longer
    EXPECT_EQ(to_evict(), &second);
}

TEST_F(ConnectionTableTest, WhatAWorkerHasIsNotEvicted) {
    add(1000);
    EXPECT_EQ(to_evict(), nullptr);
}

TEST_F(ConnectionTableTest, AUserWhoseConnectionsAllWaitIsNoBetterOff) {
    table.set_idle(add(1001));
    table.set_waiting(add(1000));
    Connection& last = add(1000);
    table.set_waiting(last);
    EXPECT_EQ(to_evict(), &last);
}

TEST_F(ConnectionTableTest, ForgetsWhatIsRemovedInAnyState) {
    Connection& idle = add(1000);
    table.set_idle(idle);
    Connection& waiting = add(1000);
    table.set_waiting(waiting);
    Connection& served = add(1001);
    uint64_t id = served.id;
    static_cast<void>(table.remove(idle));
    static_cast<void>(table.remove(waiting));
    static_cast<void>(table.remove(served));
    EXPECT_EQ(table.size(), 0u);
    EXPECT_EQ(table.find(id), nullptr);
    EXPECT_EQ(next(), nullptr);
    EXPECT_EQ(to_evict(), nullptr);
}

TEST_F(ConnectionTableTest, GivesEachConnectionAnotherId) {
    EXPECT_NE(add(1000).id, add(1000).id);
    EXPECT_NE(ConnectionTable(1).add(UniqueFd(), {}, Uid()).id, ConnectionTable(1).add(UniqueFd(), {}, Uid()).id)
        << "drawn by lot for each run";
}

TEST_F(ConnectionTableTest, UidsOfOneUserShareATurn) {
    auto add_for = [&](uid_t uid, Uid user) -> Connection& {
        return table.add(UniqueFd(), {.pid = 1, .uid = uid, .gid = uid}, user);
    };
    for (uid_t uid = 600'000; uid < 600'003; ++uid) table.set_waiting(add_for(uid, Uid(1000)));
    table.set_waiting(add_for(1001, Uid(1001)));
    std::vector<uid_t> order;
    while (Connection* connection = next()) order.push_back(connection->peer.uid);
    EXPECT_EQ(order, (std::vector<uid_t>{600'000, 1001, 600'001, 600'002}));
}

TEST_F(ConnectionTableTest, HalfMessagesAreLookedAtInTurn) {
    Connection& first = add(1000);
    Connection& second = add(1000);
    Connection& other = add(1001);
    for (Connection* connection : {&first, &second, &other}) table.set_partial(*connection);
    ASSERT_EQ(table.looks().size(), 2u);
    EXPECT_EQ(table.looks().front()->partial.front(), &first);
    table.set_partial(first);
    EXPECT_EQ(first.account->partial.front(), &second);
    table.set_idle(other);
    EXPECT_EQ(table.looks().size(), 1u);
    EXPECT_EQ(to_evict(), &second);
}

TEST_F(ConnectionTableTest, CountsParcels) {
    Connection& one = add(1000);
    EXPECT_FALSE(table.exchange_parcel(one, UniqueFd(dup(0))));
    EXPECT_EQ(table.parcels(), 1u);
    EXPECT_EQ(one.account->parcels, 1u);
    EXPECT_TRUE(table.exchange_parcel(one, UniqueFd(dup(0))));
    EXPECT_EQ(table.parcels(), 1u);
    auto remains = table.remove(one);
    EXPECT_TRUE(remains.parcel);
    EXPECT_EQ(remains.user, Uid(1000));
    EXPECT_EQ(table.parcels(), 0u);
}

TEST_F(ConnectionTableTest, WhatWaitsToBeClosedCounts) {
    for (int i = 0; i < 3; ++i) table.set_idle(add(1000));
    Connection& other = add(1001);
    table.set_idle(other);
    waiting_user = Uid(1001);
    EXPECT_EQ(to_evict(), &other);
}

}  // namespace
}  // namespace nsr::manager
