// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/host_ids.h"

#include <atomic>
#include <list>
#include <set>

#include "hostdb_fake_service.h"
#include "ranges_scratch.h"

namespace nsr::hostdb {
namespace {

using Use = HostIds::Use;

constexpr Uid kStart(524288);
constexpr uint32_t kSize = 65536;

uint64_t in_msec(uint64_t msec) { return sys::now_usec() + msec * 1000; }

FakeService::Answer always(std::string reply) {
    return [reply](const varlink::Request&) { return reply; };
}

class HostIdsTest : public ranges::Scratch {
protected:
    HostIds::Config config() const {
        return {.files = {path("passwd"), path("group"), path("subuid"), path("subgid")},
                .nsswitch = path("nsswitch.conf"),
                .userdb_directories = {path("userdb"), path("run/userdb")},
                .own_socket = path("own")};
    }
    Use check(std::string_view name = "web") { return check_by(in_msec(20'000), name); }
    Use check_by(uint64_t deadline, std::string_view name = "web") {
        auto use = host_.check(kStart, kSize, name, deadline);
        EXPECT_TRUE(use) << use.error().what();
        return use.value();
    }
    FakeService& service(const std::string& name, FakeService::Answer answer) {
        std::filesystem::create_directories(path("userdb"));
        return services_.emplace_back(path("userdb/" + name), std::move(answer));
    }

    std::list<FakeService> services_;
    HostIds host_{config()};
};

TEST_F(HostIdsTest, NothingAnywhereIsFree) {
    EXPECT_EQ(check(), Use::kFree);
    EXPECT_EQ(check(""), Use::kFree);
}

TEST_F(HostIdsTest, FilesCountWithEveryIdOfTheRange) {
    for (const char* file : {"passwd", "group"}) {
        for (uint32_t id : {524288u, 524289u, 524288u + 65535}) {
            write(file, fmt::format("somebody:x:{}:1000::/:\n", id));
            EXPECT_EQ(check(), Use::kTaken) << file << id;
        }
        write(file, "somebody:x:589824:1000::/:\n");
        EXPECT_EQ(check(), Use::kFree);
    }
    for (const char* file : {"subuid", "subgid"}) {
        write(file, "a:589823:1\n");
        EXPECT_EQ(check(), Use::kTaken) << file;
        write(file, "a:100000:424289\n");
        EXPECT_EQ(check(), Use::kTaken) << file;
        write(file, "a:100000:424288\nb:589824:65536\n");
        EXPECT_EQ(check(), Use::kFree) << file;
    }
}

TEST_F(HostIdsTest, ANameInTheFilesIsKnown) {
    for (const char* file : {"passwd", "group"}) {
        write(file, "ns-web-0:x:7:7::/:\n");
        EXPECT_EQ(check("web"), Use::kNameKnown) << file;
        EXPECT_EQ(check("we"), Use::kFree);
        EXPECT_EQ(check("web-0"), Use::kFree);
        EXPECT_EQ(check(""), Use::kFree);
        write(file, "ns-web-0:x:524288:7::/:\n");
        EXPECT_EQ(check("web"), Use::kNameKnown) << "said also where the range is taken";
        EXPECT_EQ(check("other"), Use::kTaken);
        write(file, "");
    }
}

TEST_F(HostIdsTest, AFileThatCannotBeReadIsAnError) {
    write("subgid", "");
    std::filesystem::resize_file(path("subgid"), ranges::IdFile::kMaxSize + 1);
    auto use = host_.check(kStart, kSize, "web", in_msec(1000));
    ASSERT_FALSE(use);
    EXPECT_EQ(use.error().code(), EFBIG);
    EXPECT_NE(use.error().what().find("subgid"), std::string::npos) << use.error().what();
}

TEST_F(HostIdsTest, WhatIsNoRangeIsAnError) {
    EXPECT_FALSE(host_.files().look(Uid(4294967294), 2, "web"));
    EXPECT_FALSE(host_.files().look(Uid(4294967295), 1, "web"));
    EXPECT_TRUE(host_.files().look(Uid(4294967294), 1, "web"));
}

TEST_F(HostIdsTest, ServicesAreAskedAsTheDocumentSays) {
    FakeService& home = service("io.systemd.Home", always(FakeService::kNoRecord));
    EXPECT_EQ(check(), Use::kFree);
    ASSERT_EQ(home.calls().size(), 4u);
    std::set<std::string> calls;
    for (const varlink::Request& call : home.calls()) {
        EXPECT_EQ(call.parameters.at("service"), "io.systemd.Home");
        calls.insert(call.method + " " + varlink::json::serialize(call.parameters));
    }
    for (const char* expected :
         {R"(GetUserRecord {"uid":524288,)", R"(GetGroupRecord {"gid":524288,)",
          R"(GetUserRecord {"userName":"ns-web-0",)", R"(GetGroupRecord {"groupName":"ns-web-0",)"}) {
        std::string start = std::string("io.systemd.UserDatabase.") + expected;
        EXPECT_TRUE(std::ranges::any_of(calls, [&](const std::string& call) { return call.starts_with(start); }))
            << expected;
    }
}

TEST_F(HostIdsTest, ARecordCountsForWhatWasAsked) {
    std::string known;
    service("io.systemd.NoBody", always(FakeService::kNoRecord));
    service("org.example", [&](const varlink::Request& call) {
        return call.parameters.contains(known) ? FakeService::kRecord : FakeService::kNoRecord;
    });
    for (const char* key : {"uid", "gid"}) {
        known = key;
        EXPECT_EQ(check(), Use::kTaken) << key;
        EXPECT_EQ(check(""), Use::kTaken) << key;
    }
    for (const char* key : {"userName", "groupName"}) {
        known = key;
        EXPECT_EQ(check(), Use::kNameKnown) << key;
        EXPECT_EQ(check(""), Use::kFree) << key;
    }
}

TEST_F(HostIdsTest, GarbageIsNoKnowledgeAndHidesNobodyElse) {
    int number = 0;
    for (const char* reply : {"close", "garbage", "{}", "[]", R"({"parameters":{}})", R"({"parameters":{"record":7}})",
                              R"({"parameters":{"record":null}})", R"({"error":"io.systemd.UserDatabase.BadService"})",
                              R"({"error":"org.varlink.service.MethodNotFound","parameters":{"method":"x"}})",
                              R"({"error":5})", R"({"error":"io.systemd.UserDatabase.NoRecordFoundX"})"}) {
        service(fmt::format("org.bad{}", number++), always(reply));
        EXPECT_EQ(check(), Use::kFree) << reply;
    }
    service("org.good", always(FakeService::kRecord));
    EXPECT_EQ(check(), Use::kNameKnown);
}

TEST_F(HostIdsTest, OneAnswerThatMakesNoSenseDoesNotHideTheNext) {
    service("org.odd", [](const varlink::Request& call) {
        if (call.parameters.contains("gid")) return FakeService::kRecord;
        return R"({"error":"org.varlink.service.MethodNotImplemented"})";
    });
    EXPECT_EQ(check(), Use::kTaken);
}

TEST_F(HostIdsTest, ASilentServiceIsWaitedForUntilTheDeadlineOnly) {
    service("org.silent", always(""));
    EXPECT_EQ(check_by(in_msec(100)), Use::kFree);
    EXPECT_EQ(check_by(0), Use::kFree) << "a deadline that is over is no reason to hang";
    service("org.good", always(FakeService::kRecord));
    EXPECT_EQ(check(), Use::kNameKnown) << "who knows need not wait for who is silent";
}

TEST_F(HostIdsTest, NeitherWeNorTheMultiplexerAreAsked) {
    FakeService own(path("own"), always(FakeService::kRecord));
    std::filesystem::create_directories(path("userdb"));
    std::filesystem::create_directories(path("run/userdb"));
    for (const char* link : {"userdb/io.systemd.NamespaceResource", "userdb/org.hidden", "run/userdb/third"})
        std::filesystem::create_symlink(path("own"), path(link));
    std::filesystem::create_hard_link(path("own"), path("userdb/hard"));
    FakeService& multiplexer = service("io.systemd.Multiplexer", always(FakeService::kRecord));
    EXPECT_EQ(check(), Use::kFree);
    EXPECT_TRUE(own.calls().empty());
    EXPECT_TRUE(multiplexer.calls().empty());
}

TEST_F(HostIdsTest, AnotherInstanceIsAskedButEachOnlyOnce) {
    FakeService& other = service("io.systemd.NamespaceResource", always(FakeService::kNoRecord));
    std::filesystem::create_directories(path("run/userdb"));
    std::filesystem::create_symlink(path("userdb/io.systemd.NamespaceResource"), path("run/userdb/again"));
    EXPECT_EQ(check(""), Use::kFree);
    EXPECT_EQ(other.calls().size(), 2u);
}

TEST_F(HostIdsTest, WhatIsNoSocketIsPassedOver) {
    std::filesystem::create_directories(path("userdb/directory"));
    write("userdb/file", "x");
    ASSERT_EQ(mkfifo(path("userdb/fifo").c_str(), 0600), 0);
    std::filesystem::create_symlink(path("nowhere"), path("userdb/dangling"));
    {
        FakeService gone(path("userdb/dead"), always(""));
    }
    EXPECT_EQ(check(), Use::kFree);
}

TEST_F(HostIdsTest, OtherModulesOfTheNameServiceAreAsked) {
    write("nsswitch.conf", "passwd: files\n");
    EXPECT_EQ(host_.check(Uid(0), 1, "", in_msec(20'000)), Use::kFree) << "our passwd file is empty";
    write("nsswitch.conf", "passwd: files sss\n");
    EXPECT_EQ(host_.check(Uid(0), 1, "", in_msec(20'000)), Use::kTaken) << "every libc knows root";
    EXPECT_EQ(check(), Use::kFree);
}

}  // namespace
}  // namespace nsr::hostdb
