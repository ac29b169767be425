// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <sys/un.h>
#include <array>
#include <fstream>
#include <optional>

#include "authority/authority.h"
#include "authority_client.h"
#include "authority_fake_polkit.h"
#include "authority_private_bus.h"

namespace nsr::authority {
namespace {

using Answer = FakePolkit::Answer;

constexpr Uid kUser{1234};
// Far more than any answer needs, and what a test of silence waits.
constexpr uint64_t kLongUsec = 30'000'000;
constexpr uint64_t kShortUsec = 200'000;

/// The client is root's, whatever uid polkit is told: polkit is a fake here.
class Check : public testing::Test {
protected:
    void SetUp() override {
        if (!PrivateBus::is_possible()) GTEST_SKIP() << PrivateBus::kProgram << " is not there";
        bus_.emplace();
    }

    Result<Verdict> check(uint64_t timeout_usec = kLongUsec) {
        return check_as(Caller{client_.socket_fd(), client_.pid(), kUser}, timeout_usec);
    }
    Result<Verdict> check_as(const Caller& caller, uint64_t timeout_usec = kLongUsec) {
        const std::array details{Detail{"name", "1234-foo"}};
        return authority_.check(caller, kAllocateUserNamespace, details, sys::now_usec() + timeout_usec);
    }
    void expect(Verdict wanted) {
        auto verdict = check();
        ASSERT_TRUE(verdict) << verdict.error().what();
        EXPECT_EQ(*verdict, wanted);
    }
    void expect_error(int code, uint64_t timeout_usec = kLongUsec) {
        auto verdict = check(timeout_usec);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code(), code) << verdict.error().what();
    }

    std::optional<PrivateBus> bus_;
    Client client_;
    Authority authority_;
};

TEST_F(Check, AsksAboutTheCallerByPidfd) {
    FakePolkit polkit(Answer::kAllow);
    expect(Verdict::kAllowed);
    ASSERT_EQ(polkit.asked(), 1u);
    const FakePolkit::Question& q = polkit.questions()[0];
    auto process = Process::behind(client_.socket_fd(), client_.pid(), kUser);
    ASSERT_TRUE(process);
    auto pid = static_cast<uint64_t>(client_.pid());
    EXPECT_EQ(q.kind, "unix-process");
    EXPECT_EQ(q.subject,
              (std::map<std::string, uint64_t>{
                  {"pid", pid}, {"pidfd", pid}, {"start-time", process->start_time()}, {"uid", kUser.value}}));
    EXPECT_EQ(q.types,
              (std::map<std::string, std::string>{{"pid", "u"}, {"pidfd", "h"}, {"start-time", "t"}, {"uid", "i"}}));
    EXPECT_EQ(q.action, "io.systemd.namespace-resource.allocate-user-namespace");
    EXPECT_EQ(q.details, (std::map<std::string, std::string>{{"name", "1234-foo"}}));
    EXPECT_EQ(q.flags, 0u) << "nobody may be asked for a password";
    EXPECT_EQ(q.cancellation, "");
}

TEST_F(Check, LeavesThePidfdOutWherePolkitTakesNone) {
    FakePolkit polkit(Answer::kAllow, FakePolkit::Descriptors::kRefused);
    expect(Verdict::kAllowed);
    ASSERT_EQ(polkit.asked(), 1u) << "the bus does not pass on what it cannot deliver";
    EXPECT_FALSE(polkit.questions()[0].subject.contains("pidfd"));
    EXPECT_EQ(polkit.questions()[0].subject.size(), 3u);
    EXPECT_EQ(polkit.questions()[0].action, "io.systemd.namespace-resource.allocate-user-namespace");
}

TEST_F(Check, DeniesWhatPolkitDenies) {
    FakePolkit polkit(Answer::kDeny);
    expect(Verdict::kDenied);
    polkit.set_answer(Answer::kChallenge);
    expect(Verdict::kDenied);
    polkit.set_answer(Answer::kAllow);
    expect(Verdict::kAllowed);
    EXPECT_EQ(polkit.asked(), 3u);
}

TEST_F(Check, AllowsRootWithoutAQuestion) {
    FakePolkit polkit(Answer::kDeny);
    auto verdict = check_as(Caller{client_.socket_fd(), client_.pid(), Uid(0)});
    ASSERT_TRUE(verdict);
    EXPECT_EQ(*verdict, Verdict::kAllowed);
    EXPECT_EQ(polkit.asked(), 0u);
}

TEST_F(Check, AllowsWherePolkitIsNotInstalled) { expect(Verdict::kAllowed); }

TEST_F(Check, AllowsWhereThereIsNoBus) {
    bus_->stop();
    expect(Verdict::kAllowed);  // a socket that nobody listens on
    std::filesystem::remove(bus_->socket());
    expect(Verdict::kAllowed);
}

TEST_F(Check, StartsPolkitThroughTheBus) {
    std::ofstream(bus_->services() + "/org.freedesktop.PolicyKit1.service")
        << "[D-BUS Service]\nName=org.freedesktop.PolicyKit1\nExec=/bin/false\n";
    bus_->stop();
    bus_->start();
    expect_error(EIO);  // it can be started in principle, but not in fact: not the same as none
}

TEST_F(Check, FailsWhenPolkitIsBroken) {
    FakePolkit polkit(Answer::kError);
    for (Answer answer : {Answer::kError, Answer::kWrongType, Answer::kEmpty}) {
        polkit.set_answer(answer);
        expect_error(EIO);
    }
    polkit.set_answer(Answer::kAllow);
    expect(Verdict::kAllowed);
}

TEST_F(Check, FailsWhenPolkitLeavesInTheMiddle) {
    {
        FakePolkit polkit(Answer::kLeave);
        expect_error(EIO);
    }
    FakePolkit another(Answer::kDeny);
    expect(Verdict::kDenied);
}

TEST_F(Check, FailsWhenPolkitIsSilent) {
    FakePolkit polkit(Answer::kSilence);
    expect_error(ETIMEDOUT, kShortUsec);
    polkit.set_answer(Answer::kDeny);
    expect(Verdict::kDenied);
}

TEST_F(Check, FailsAtOnceWhenTheDeadlineIsOver) {
    FakePolkit polkit(Answer::kAllow);
    expect_error(ETIMEDOUT, 0);
}

TEST_F(Check, FailsWhenTheBusIsSilent) {
    bus_->stop();
    std::filesystem::remove(bus_->socket());
    UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, bus_->socket().c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener.get(), 16), 0);
    expect_error(ETIMEDOUT, kShortUsec);
    listener.reset();
    expect(Verdict::kAllowed);
}

TEST_F(Check, FailsWhenTheBusStopsInTheMiddle) {
    FakePolkit polkit(Answer::kAllow);
    expect(Verdict::kAllowed);
    kill(bus_->pid(), SIGSTOP);
    expect_error(ETIMEDOUT, kShortUsec);
    kill(bus_->pid(), SIGCONT);
    expect(Verdict::kAllowed);
}

TEST_F(Check, FailsWhenTheBusDiesInTheMiddle) {
    FakePolkit polkit(Answer::kAllow, FakePolkit::Descriptors::kTaken, [&] { kill(bus_->pid(), SIGKILL); });
    auto verdict = check();
    EXPECT_FALSE(verdict && *verdict == Verdict::kAllowed);
}

TEST_F(Check, FindsABusThatWasStartedAnew) {
    {
        FakePolkit polkit(Answer::kAllow);
        expect(Verdict::kAllowed);
    }
    bus_->stop();
    std::filesystem::remove(bus_->socket());
    bus_->start();
    FakePolkit polkit(Answer::kDeny);
    expect(Verdict::kDenied);
}

TEST_F(Check, DeniesACallerThatIsGone) {
    FakePolkit polkit(Answer::kAllow);
    client_.end();
    expect(Verdict::kDenied);
    client_.reap();
    expect(Verdict::kDenied);
    EXPECT_EQ(polkit.asked(), 0u);
}

TEST_F(Check, DeniesACallerThatGoesMeanwhile) {
    FakePolkit polkit(Answer::kAllow, FakePolkit::Descriptors::kTaken, [&] { client_.end(); });
    expect(Verdict::kDenied);
    EXPECT_EQ(polkit.asked(), 1u);
}

TEST_F(Check, RefusesWhatPolkitCannotExpress) {
    FakePolkit polkit(Answer::kAllow);
    auto verdict = check_as(Caller{client_.socket_fd(), client_.pid(), Uid(0x80000000u)});
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code(), ERANGE);
    const std::array details{Detail{"name", std::string("a\0b", 3)}};
    verdict = authority_.check(Caller{client_.socket_fd(), client_.pid(), kUser}, kAllocateUserNamespace, details,
                               sys::now_usec() + kLongUsec);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code(), EINVAL);
    EXPECT_EQ(polkit.asked(), 0u);
}

TEST_F(Check, LeaksNoDescriptors) {
    auto count = [] { return sys::list_directory(sys::kCwd, "/proc/self/fd").value().size(); };
    // The fake has the pidfd too for a moment, in this very process: count when it is gone.
    auto ask_all = [this] {
        FakePolkit polkit(Answer::kDeny);
        for (Answer answer : {Answer::kDeny, Answer::kWrongType, Answer::kError, Answer::kAllow}) {
            polkit.set_answer(answer);
            (void)check();
        }
    };
    ask_all();
    size_t before = count();
    ask_all();
    ask_all();
    EXPECT_EQ(count(), before);
}

// What is asked about and what polkit knows must be the same, and open to everybody unless a rule says otherwise.
TEST(Actions, AreThoseOfTheActionFile) {
    std::ifstream file(NSR_SOURCE_DIR "/polkit/io.systemd.namespace-resource.policy");
    std::string text(std::istreambuf_iterator<char>(file), {});
    size_t known = 0;
    for (size_t at = 0; (at = text.find("<action id=\"", at)) != std::string::npos; ++at) ++known;
    EXPECT_EQ(known, 5u);
    for (Action action : {kAllocateUserNamespace, kRegisterUserNamespace, kDelegateMount, kDelegateControlGroup,
                          kDelegateNetworkInterface})
        EXPECT_NE(text.find(std::string("<action id=\"") + action.id + "\">"), std::string::npos) << action.id;
}

}  // namespace
}  // namespace nsr::authority
