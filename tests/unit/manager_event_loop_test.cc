// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <optional>

#include "base/sys.h"

namespace nsr::manager {
namespace {

TEST(EventLoop, AHandlerMayRemoveItself) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    auto pair = sys::socket_pair(SOCK_STREAM);
    ASSERT_TRUE(pair);
    std::optional<Source> source;
    int calls = 0;
    std::string kept(100, 'x');
    source.emplace(std::move(*loop->watch_fd(pair->first.borrow(), EPOLLIN, [&, kept] {
        ++calls;
        source.reset();
        EXPECT_EQ(kept.size(), 100u);  // what the handler holds is still there
        loop->stop(7);
    })));
    ASSERT_EQ(write(pair->second.get(), "x", 1), 1);
    EXPECT_EQ(*loop->run(), 7);
    EXPECT_EQ(calls, 1);
}

TEST(EventLoop, ATimerFiresOnceEachTimeItIsSet) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    int calls = 0;
    Source timer;
    timer = std::move(*loop->make_timer([&] {
        if (++calls == 2) return loop->stop(0);
        timer.fire_after(1000);
    }));
    timer.fire_after(1000);
    EXPECT_EQ(*loop->run(), 0);
    EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace nsr::manager
