// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/nss_lookup.h"

#include <sys/stat.h>
#include <unistd.h>
#include <csignal>

#include "ranges_scratch.h"

namespace nsr::hostdb {
namespace {

uint64_t in_msec(uint64_t msec) { return sys::now_usec() + msec * 1000; }

TEST(Nsswitch, FindsOtherModules) {
    for (const char* text :
         {"", "passwd: files\ngroup: files systemd\n", "passwd:\tcompat  systemd\r\n",
          "passwd: files [SUCCESS=return NOTFOUND=continue] systemd\n", "hosts: files dns\nshadow: sss\n",
          "# passwd: sss\n", "passwd: files # sss\n", "initgroups: sss\n", "passwd\n", ":::\n[[[]\n"})
        EXPECT_EQ(parse_nsswitch(text), NssModules::kCovered) << text;
    for (const char* text : {"passwd: files sss\n", "group: ldap", "  group : files winbind\n", "passwd:sss",
                             "passwd: files [NOTFOUND=return] nis\n", "passwd: files\ngroup: altfiles\n",
                             "passwd: files [never closed\ngroup: sss\n"})
        EXPECT_EQ(parse_nsswitch(text), NssModules::kOthers) << text;
}

TEST(ChildProbe, GivesTheExitStatus) {
    auto child = start_probe([] { return 42; });
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait(in_msec(10'000)), 42);
}

TEST(ChildProbe, AHangingOneIsKilledAtTheDeadline) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    // Descriptor 0 is the only kind that it inherits: a pipe there shows when it is really gone.
    UniqueFd reader(pipe_fds[0]), writer(pipe_fds[1]), saved(dup(0));
    ASSERT_EQ(dup2(writer.get(), 0), 0);
    {
        auto child = start_probe([] {
            for (;;) pause();
            return 0;
        });
        ASSERT_EQ(dup2(saved.get(), 0), 0);
        writer.reset();
        ASSERT_TRUE(child);
        auto status = child->wait(in_msec(50));
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code(), ETIMEDOUT);
    }
    struct pollfd poll{reader.get(), POLLIN, 0};
    ASSERT_EQ(sys::poll({&poll, 1}, 10'000'000), 1u);
    EXPECT_TRUE(poll.revents & POLLHUP);
}

TEST(ChildProbe, ACrashIsNoAnswer) {
    auto child = start_probe([] {
        raise(SIGKILL);
        return 0;
    });
    ASSERT_TRUE(child);
    auto status = child->wait(in_msec(10'000));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ECANCELED);
}

TEST(ChildProbe, HasNeitherOurDescriptorsNorOurPrivileges) {
    int probe = dup(2);
    ASSERT_GT(probe, 2);
    auto child = start_probe([probe] { return (fcntl(probe, F_GETFD) < 0 ? 1 : 0) | (geteuid() != 0 ? 2 : 0); });
    close(probe);
    ASSERT_TRUE(child);
    EXPECT_EQ(child->wait(in_msec(10'000)), 3);
}

class NssLookupTest : public ranges::Scratch {
protected:
    ranges::HostAnswer ask(NssLookup& lookup, const ranges::HostQuery& query) {
        auto child = lookup.start(query);
        EXPECT_TRUE(child);
        EXPECT_TRUE(*child) << "there are other modules";
        return lookup.finish(**std::move(child), in_msec(10'000));
    }
    NssLookup lookup_{path("nsswitch.conf")};
};

TEST_F(NssLookupTest, StartsNothingWithoutOtherModules) {
    write("nsswitch.conf", "passwd: files systemd\ngroup: files\n");
    EXPECT_FALSE(lookup_.start({Uid(0), "root"}).value());
}

TEST_F(NssLookupTest, AsksLibcWhereThereIsAnother) {
    write("nsswitch.conf", "passwd: files sss\n");
    EXPECT_TRUE(ask(lookup_, {Uid(0), ""}).id_known) << "root is known by every libc";
    EXPECT_TRUE(ask(lookup_, {Uid(1879048191), "root"}).account_known);
    ranges::HostAnswer nothing = ask(lookup_, {Uid(1879048191), "ns-nobody-has-this-0"});
    EXPECT_FALSE(nothing.id_known);
    EXPECT_FALSE(nothing.account_known);
}

TEST_F(NssLookupTest, SilenceAndGarbageAreNoKnowledge) {
    for (int status : {0, 1, 3, 63, 72, 127, 255}) {
        auto child = start_probe([status] { return status; });
        ranges::HostAnswer answer = lookup_.finish(*std::move(child), in_msec(10'000));
        EXPECT_FALSE(answer.id_known || answer.account_known) << status;
    }
    auto child = start_probe([] {
        pause();
        return 65;
    });
    ranges::HostAnswer answer = lookup_.finish(*std::move(child), in_msec(50));
    EXPECT_FALSE(answer.id_known || answer.account_known);
}

TEST_F(NssLookupTest, AFileThatIsTooLargeIsAnError) {
    write("nsswitch.conf", std::string(70'000, '#'));
    EXPECT_EQ(lookup_.start({Uid(0), ""}).error().code(), EFBIG);
}

}  // namespace
}  // namespace nsr::hostdb
