// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/registration.h"

#include <gtest/gtest.h>

#include "registry/delegation.h"

namespace nsr::registry {
namespace {

constexpr std::string_view kFull =
    R"({"owner":1000,"name":"1000-x","userns":4026532500,"usernsId":7000000001,"size":65536,"start":524288,"target":0,)"
    R"("startGid":524288,"targetGid":0,"cgroups":[77,18446744073709551615],"netifs":["ns-0123456789ab"],)"
    R"("delegates":[{"userns":4026532500,"start":655360,"startGid":655360,"size":65536}]})";

Registration parsed(std::string_view text) {
    auto registration = parse_registration(text);
    EXPECT_TRUE(registration) << (registration ? "" : registration.error().what());
    return registration ? *registration : Registration{};
}

// A record with one field set, or taken out ("").
std::string with(std::string_view key, std::string_view value) {
    std::vector<std::pair<std::string, std::string>> fields{{"owner", "1000"}, {"name", "\"x\""},   {"userns", "5"},
                                                            {"size", "65536"}, {"start", "524288"}, {"target", "0"}};
    std::string text;
    bool found = false;
    for (auto& [name, old] : fields) {
        if (name == key) {
            found = true;
            old = value;
        }
        if (!old.empty()) text += fmt::format("{}\"{}\":{}", text.empty() ? "" : ",", name, old);
    }
    if (!found) text += fmt::format(",\"{}\":{}", key, value);
    return "{" + text + "}";
}

void expect_broken(const std::string& text) {
    auto registration = parse_registration(text);
    ASSERT_FALSE(registration) << text;
    EXPECT_EQ(registration.error().code(), EBADMSG) << text;
}

TEST(Registration, IsReadFieldByField) {
    Registration r = parsed(kFull);
    EXPECT_EQ(r.owner, Uid(1000));
    EXPECT_EQ(r.name, "1000-x");
    EXPECT_EQ(r.userns, (NsIdentity{NsInode(4026532500), NsId(7000000001)}));
    EXPECT_EQ(r.range, (TransientRange{65536, Uid(524288), 0, Gid(524288), 0}));
    EXPECT_EQ(r.setgroups, Registration::Setgroups::kAllowed);
    EXPECT_EQ(r.cgroups, (std::vector{CgroupId(77), CgroupId(UINT64_MAX)}));
    EXPECT_EQ(r.network_interfaces, std::vector<std::string>{"ns-0123456789ab"});
    EXPECT_EQ(r.delegates, (std::vector{Delegate{NsInode(4026532500), Uid(655360), Gid(655360), 65536}}));
    EXPECT_TRUE(r.unknown_fields.empty());
    EXPECT_TRUE(r.is_transient());
}

TEST(Registration, IsWrittenAsItWasRead) { EXPECT_EQ(format_registration(parsed(kFull)), std::string(kFull) + "\n"); }

TEST(Registration, OfASelfRangeIsNotTransient) {
    constexpr std::string_view self =
        R"({"owner":1000,"name":"x","userns":5,"size":1,"start":1000,"target":0,"startGid":100,"targetGid":0,"setgroupsDeny":true})";
    Registration r = parsed(self);
    EXPECT_EQ(r.range, (TransientRange{1, Uid(1000), 0, Gid(100), 0}));
    EXPECT_EQ(r.setgroups, Registration::Setgroups::kDenied);
    EXPECT_FALSE(r.is_transient());
    EXPECT_EQ(format_registration(r), std::string(self) + "\n");
}

TEST(Registration, OfACallerWithATransientIdIsNotTransient) {
    EXPECT_FALSE(
        parsed(R"({"owner":61200,"name":"x","userns":5,"size":1,"start":61200,"target":0,"setgroupsDeny":true})")
            .is_transient());
    EXPECT_TRUE(parsed(R"({"owner":0,"name":"x","userns":5,"size":1,"start":61200,"target":0})").is_transient());
}

TEST(Registration, IsTransientOnlyInThePools) {
    for (auto [start, size, transient] : {std::tuple{524288u, 65536u, true},
                                          {524288u - 65536u, 65536u, false},
                                          {524289u, 65536u, false},
                                          {1878982656u, 65536u, true},
                                          {1879048192u, 65536u, false},
                                          {524288u, 1u, false},
                                          {61184u, 1u, true},
                                          {61183u, 1u, false},
                                          {65519u, 1u, true},
                                          {65520u, 1u, false},
                                          {524288u, 2u, false}}) {
        EXPECT_EQ(is_pool_range(start, size), transient) << start << " " << size;
        Registration r;
        r.range = TransientRange{size, Uid(start), 0, Gid(start), 0};
        EXPECT_EQ(r.is_transient(), transient) << start << " " << size;
        r.range->start_gid = Gid(start + 65536);
        EXPECT_FALSE(r.is_transient());
    }
    EXPECT_FALSE(Registration{}.is_transient());
}

TEST(Registration, OfOlderVersionsLacksGidsAndId) {
    Registration r = parsed(R"({"owner":0,"name":"x","userns":5,"size":65536,"start":524288,"target":7})");
    EXPECT_EQ(r.range, (TransientRange{65536, Uid(524288), 7, Gid(524288), 7}));
    EXPECT_EQ(r.userns.id, NsId(0));
    EXPECT_TRUE(r.is_transient());
}

TEST(Registration, WithoutARangeHasFewFields) {
    constexpr std::string_view text = R"({"owner":1000,"name":"x","userns":5,"usernsId":9})";
    Registration r = parsed(text);
    EXPECT_FALSE(r.range);
    EXPECT_EQ(format_registration(r), std::string(text) + "\n");
}

TEST(Registration, KeepsWhatItDoesNotKnow) {
    std::string text = R"({"owner":1000,"name":"x","userns":5,"future":{"a":[1,-2,"z",null]},"more":true})";
    EXPECT_EQ(format_registration(parsed(text)), text + "\n");
}

TEST(Registration, WithALackingFieldIsBroken) {
    for (auto key : {"owner", "name", "userns", "size", "start", "target"}) expect_broken(with(key, ""));
    expect_broken(R"({"owner":0,"name":"x","userns":5,"startGid":524288})");
}

TEST(Registration, WithAWrongTypeIsBroken) {
    for (auto key : {"owner", "userns", "usernsId", "size", "start", "target", "startGid", "targetGid"})
        for (auto value : {"\"5\"", "5.5", "-1", "true", "[]", "{}", "18446744073709551616", "1e3"})
            expect_broken(with(key, value));
    for (auto value : {"5", "true", "[]"}) expect_broken(with("name", value));
    for (auto value : {"5", "\"true\"", "[]"}) expect_broken(with("setgroupsDeny", value));
    for (auto key : {"cgroups", "netifs", "delegates"})
        for (auto value : {"5", "\"a\"", "{}", "[null]", "[true]", "[[]]", "[-1]"}) expect_broken(with(key, value));
}

TEST(Registration, WithANumberOutOfRangeIsBroken) {
    for (auto key : {"owner", "start", "target", "startGid", "targetGid"})
        for (auto value : {"65535", "4294967295", "4294967296"}) expect_broken(with(key, value));
    for (auto value : {"0", "65537", "4294967295"}) expect_broken(with("size", value));
    expect_broken(with("userns", "0"));
    expect_broken(with("cgroups", "[0]"));
    // The end of the range counts as well: 4294901760 is the first whose range would contain 4294967295.
    for (auto key : {"start", "target", "startGid", "targetGid"}) expect_broken(with(key, "4294901760"));
    parsed(with("target", "4294901759"));
}

TEST(Registration, WithAnUnfitNameIsBroken) {
    for (auto value : {R"("")", R"("a/b")", R"("..")", R"("a\u0000")", R"("aaaaaaaaaaaaaaaaaaaaaaa")", R"("é")"})
        expect_broken(with("name", value));
    for (auto value :
         {R"([""])", R"(["a/b"])", R"([".."])", R"(["a b"])", R"(["a\u0000b"])", R"(["0123456789abcdef"])"})
        expect_broken(with("netifs", value));
}

TEST(Registration, WithALongListIsBroken) {
    std::string list = "[1";
    for (size_t i = 1; i < kMaxListLength; ++i) list += ",1";
    EXPECT_EQ(parsed(with("cgroups", list + "]")).cgroups.size(), kMaxListLength);
    expect_broken(with("cgroups", list + ",1]"));
}

TEST(Registration, WithADelegateThatIsNoRangeOfThePoolIsBroken) {
    EXPECT_EQ(parsed(with("delegates", R"([{"userns":5,"start":655360,"size":65536}])")).delegates.at(0).start_gid,
              Gid(655360));
    for (auto value :
         {R"([{"userns":5,"start":655361,"size":65536}])", R"([{"userns":5,"start":0,"size":65536}])",
          R"([{"userns":5,"start":655360,"size":1}])", R"([{"userns":5,"start":61184,"size":1}])",
          R"([{"userns":5,"start":655360,"startGid":524288,"size":65536}])", R"([{"userns":5,"start":655360}])",
          R"([{"userns":0,"start":655360,"size":65536}])", R"([{"start":655360,"size":65536}])"})
        expect_broken(with("delegates", value));
}

TEST(Registration, InTextThatIsNoJsonObjectIsBroken) {
    for (auto text : {"", " ", "null", "5", "[]", "{", "{}", "{\"owner\":0", "{}x", "\xff"}) expect_broken(text);
    expect_broken(with("owner", "5,"));
    expect_broken(with("future", std::string(1000, '[')));
    expect_broken(with("future", "\"" + std::string(kMaxFileSize, 'a') + "\""));
    expect_broken(with("future", "\"\xff\""));
    // It would be written as something that nobody can read.
    expect_broken(with("future", "6e536"));
}

TEST(Registration, WithAFieldThereTwiceIsBroken) {
    expect_broken(with("future", "1,\"start\":589824"));
    expect_broken(with("future", "{\"a\":1,\"a\":1}"));
    expect_broken(with("future", "[{\"a\":1,\"\\u0061\":1}]"));
}

TEST(Delegation, IsReadAndWritten) {
    constexpr std::string_view text =
        R"({"userns":7,"start":655360,"startGid":655360,"size":65536,"ancestorUserns":[5,6]})";
    auto delegation = parse_delegation(text);
    ASSERT_TRUE(delegation);
    EXPECT_EQ(*delegation, (Delegation{NsInode(7), Uid(655360), Gid(655360), 65536, {NsInode(5), NsInode(6)}}));
    EXPECT_EQ(format_delegation(*delegation), std::string(text) + "\n");
    delegation->ancestors.clear();
    EXPECT_EQ(format_delegation(*delegation), "{\"userns\":7,\"start\":655360,\"startGid\":655360,\"size\":65536}\n");
    EXPECT_EQ(parse_delegation(format_delegation(*delegation)).value(), *delegation);
}

TEST(Delegation, ThatIsHostileIsBroken) {
    std::string many = "[1";
    for (int i = 0; i < 40; ++i) many += ",1";
    for (std::string text :
         {std::string("{}"), std::string(R"({"userns":7,"start":655360,"size":1})"),
          std::string(R"({"userns":7,"start":5,"size":65536})"), std::string(R"({"start":655360,"size":65536})"),
          std::string(R"({"userns":7,"start":655360,"startGid":524288,"size":65536})"),
          std::string(R"({"userns":7,"start":655360,"size":65536,"ancestorUserns":5})"),
          std::string(R"({"userns":7,"start":655360,"size":65536,"ancestorUserns":[0]})"),
          std::string(R"({"userns":7,"userns":8,"start":655360,"size":65536})"),
          R"({"userns":7,"start":655360,"size":65536,"ancestorUserns":)" + many + "]}"}) {
        auto delegation = parse_delegation(text);
        ASSERT_FALSE(delegation) << text;
        EXPECT_EQ(delegation.error().code(), EBADMSG);
    }
}

}  // namespace
}  // namespace nsr::registry
