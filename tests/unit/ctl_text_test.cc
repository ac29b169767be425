// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "base/printable.h"
#include "ctl/default_name.h"
#include "ctl/json_text.h"
#include "ctl/service.h"
#include "ctl/shortage.h"
#include "ctl/table.h"
#include "registry/names.h"

namespace nsr::ctl {
namespace {

TEST(Table, AlignsColumnsUnderTheirHeaders) {
    Table table({{"NAME", Table::Align::kLeft}, {"UID", Table::Align::kRight}, {"X", Table::Align::kLeft}});
    table.add({"a-long-name", "7", "y"});
    table.add({"b", "1000"});
    EXPECT_EQ(table.text(),
              "NAME          UID  X\n"
              "a-long-name     7  y\n"
              "b            1000\n");
}

TEST(Table, CountsCharactersNotBytes) {
    Table table({{"NAME", Table::Align::kLeft}, {"X", Table::Align::kLeft}});
    table.add({"├─ab", "y"});
    table.add({"abcd", "z"});
    EXPECT_EQ(table.text(), "NAME  X\n├─ab  y\nabcd  z\n");
}

TEST(Table, EmptyHasItsHeadersOnly) {
    Table table({{"NAME", Table::Align::kLeft}, {"UID", Table::Align::kRight}});
    EXPECT_EQ(table.text(), "NAME  UID\n");
}

TEST(Pairs, ColonsAreBelowEachOther) { EXPECT_EQ(pairs_text({{"A", "1"}, {"Long", ""}}), "   A: 1\nLong: \n"); }

/// What a stranger may choose as a name, and what is shown of it.
const char* const kHostile = "\x1b[2Jü\n\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\xa8\xff";
const char* const kShown = "\\x1b[2Jü\\x0a\\x7f\\u{9b}\\u{202e}\\u{2028}\\xff";

TEST(Pairs, NoFieldCommandsTheTerminal) {
    EXPECT_EQ(pairs_text({{"A", kHostile}}), std::string("A: ") + kShown + "\n");
    EXPECT_EQ(pairs_text({{kHostile, "b"}}), std::string(kShown) + ": b\n");
    EXPECT_EQ(pairs_text({{"\xc3\xbc", "1"}, {"abc", "2"}}), "  ü: 1\nabc: 2\n");
}

TEST(Table, NoCellCommandsTheTerminalAndColumnsStayRight) {
    Table table({{"NAME", Table::Align::kLeft}, {"X", Table::Align::kLeft}});
    table.add({"a\nb", "y"});
    table.add({"日本", kHostile});
    EXPECT_EQ(table.text(), std::string("NAME    X\na\\x0ab  y\n日本    ") + kShown + "\n");
}

TEST(JsonText, IsUtf8AndHarmlessAndHasTheSameValue) {
    std::string valid = "\x1b[2Jü\n\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81";
    boost::json::value value{{valid, {valid, 1}}};
    for (JsonMode mode : {JsonMode::kShort, JsonMode::kPretty}) {
        std::string text = json_text(value, mode);
        EXPECT_EQ(printable_lines(text), text);
        EXPECT_NE(text.find(R"(\u001b[2Jü\n\u007f\u009b\u202e\udb40\udc41)"), std::string::npos) << text;
        EXPECT_EQ(boost::json::parse(text), value);
        std::string broken = json_text(boost::json::value{"\xff\\\xc3"}, mode);
        EXPECT_EQ(boost::json::parse(broken), (boost::json::value{R"(\xff\\xc3)"})) << broken;
    }
}

TEST(JsonText, ShortIsOneLine) {
    boost::json::value value{{"a", {1, 2}}, {"b", nullptr}};
    EXPECT_EQ(json_text(value, JsonMode::kShort), "{\"a\":[1,2],\"b\":null}\n");
}

TEST(JsonText, PrettyIsIndentedAndTheSameValue) {
    boost::json::value value = boost::json::parse(R"({"a":[1,{"x":"q\""}],"e":[],"o":{},"k\n":"\u0001"})");
    std::string text = json_text(value, JsonMode::kPretty);
    EXPECT_EQ(text,
              "{\n  \"a\": [\n    1,\n    {\n      \"x\": \"q\\\"\"\n    }\n  ],\n  \"e\": [],\n  \"o\": {},\n"
              "  \"k\\n\": \"\\u0001\"\n}\n");
    EXPECT_EQ(boost::json::parse(text), value);
}

TEST(DefaultName, IsTheCommandAndTheProcess) {
    EXPECT_EQ(default_name("/usr/bin/bash", Uid(0), 17), "bash-17");
    EXPECT_EQ(default_name("sh", Uid(1000), 4194304), "sh-4194304");
}

TEST(DefaultName, IsFitWithThePrefixOfAnyUid) {
    for (const char* command : {"sh", "/", "", "./a.out", "a-name-that-is-much-too-long-for-it", "ü", "x y\n"})
        for (uint32_t uid : {0U, 1000U, 4294967294U})
            for (pid_t process : {1, 4194304}) {
                std::string name = default_name(command, Uid(uid), process);
                auto whole = registry::final_name(name, Uid(uid), registry::Mangle::kNo, 1);
                ASSERT_TRUE(whole) << name;
                EXPECT_TRUE(registry::is_valid_name(*whole)) << *whole;
                EXPECT_TRUE(name.ends_with("-" + std::to_string(process))) << name;
            }
}

std::string meaning(std::string error, boost::json::object parameters = {}) {
    return explain({.error = std::move(error), .parameters = std::move(parameters), .fds = {}});
}

TEST(Explain, NamesTheRemedy) {
    EXPECT_NE(meaning("io.systemd.NamespaceResource.NameExists").find("--name="), std::string::npos);
    EXPECT_NE(meaning("io.systemd.NamespaceResource.UserNamespaceInterfaceNotSupported").find("status"),
              std::string::npos);
    EXPECT_NE(meaning("org.varlink.service.InvalidParameter", {{"parameter", "name"}}).find("22 characters"),
              std::string::npos);
    EXPECT_NE(meaning("io.systemd.System", {{"errno", EUSERS}}).find("end some of them"), std::string::npos);
    EXPECT_NE(meaning("io.systemd.System", {{"errno", EIO}}).find("Input/output error"), std::string::npos);
}

TEST(Explain, EveryErrorOfTheInterfaceHasASentence) {
    for (const char* name :
         {"UserNamespaceInterfaceNotSupported", "NameExists", "UserNamespaceExists", "DynamicRangeUnavailable",
          "NoDynamicRange", "UserNamespaceNotRegistered", "UserNamespaceWithoutUserRange", "TooManyControlGroups",
          "ControlGroupAlreadyAdded", "TooManyNetworkInterfaces", "TooManyDelegations"}) {
        auto error = std::string("io.systemd.NamespaceResource.") + name;
        EXPECT_EQ(meaning(error).find(error), std::string::npos);
    }
}

TEST(Explain, EveryParameterThatTheUserChoseHasASentence) {
    for (const char* name : {"name", "target", "delegateContainerRanges", "mapForeign", "userNamespaceFileDescriptor",
                             "controlGroupFileDescriptor"}) {
        auto text = meaning("org.varlink.service.InvalidParameter", {{"parameter", name}});
        EXPECT_EQ(text.find("did not accept"), std::string::npos) << text;
    }
    EXPECT_NE(meaning("io.systemd.System", {{"errno", ESRCH}}).find("one to one"), std::string::npos);
    EXPECT_NE(meaning("io.systemd.System", {{"errno", EEXIST}}).find("there already"), std::string::npos);
}

TEST(ExplainShortage, SaysWhoseRangesAreUsedUp) {
    const boost::json::object plenty{{"enforcement", "quarantine"}, {"freshContainer", 20000}, {"freshDynamic", 1}};
    const boost::json::object little{{"enforcement", "quarantine"}, {"freshContainer", 2}, {"freshDynamic", 0}};
    const OwnUse all{.user = Uid(1000), .containers = 1791, .singles = 271};
    const OwnUse none{.user = Uid(1000)};
    const Wanted one{.containers = 1}, single{.singles = 1}, three{.containers = 3};
    auto has = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };

    std::string text = explain_shortage(one, Uid(1000), all, plenty);
    EXPECT_TRUE(has(text, "your share") && has(text, "1791 of 1791") && has(text, "nsresourcectl reclaim")) << text;
    text = explain_shortage(single, Uid(1000), all, little);
    EXPECT_TRUE(has(text, "your share") && has(text, "271 of 271")) << text;
    text = explain_shortage(three, Uid(1000), OwnUse{.user = Uid(1000), .containers = 1789}, plenty);
    EXPECT_TRUE(has(text, "1789 of 1791") && has(text, "3 more")) << text;
    for (const auto& [wanted, caller, use] :
         {std::tuple{single, Uid(1000), none}, {three, Uid(1000), none}, {single, Uid(0), all}}) {
        text = explain_shortage(wanted, caller, use, little);
        EXPECT_TRUE(has(text, "never used") && has(text, "nsresourcectl reclaim")) << text;
    }
}

TEST(ExplainShortage, SaysNoMoreThanIsKnown) {
    const std::string answer = meaning("io.systemd.NamespaceResource.NoDynamicRange");
    const OwnUse all{.user = Uid(1000), .containers = 1791, .singles = 271};
    const Wanted one{.containers = 1};
    for (const boost::json::object& status :
         {boost::json::object{}, boost::json::object{{"enforcement", "none"}}, boost::json::object{{"enforcement", 3}}})
        EXPECT_EQ(explain_shortage(one, Uid(1000), all, status), answer);
    const boost::json::object odd{{"enforcement", "quarantine"}, {"freshContainer", "x"}};
    EXPECT_EQ(explain_shortage(one, Uid(1000), std::nullopt, odd), answer);
}

TEST(Explain, StandsOddAnswers) {
    EXPECT_EQ(meaning("a.B"), "the service refused: a.B");
    EXPECT_EQ(meaning("org.varlink.service.InvalidParameter"), "the service did not accept the request");
    EXPECT_EQ(meaning("org.varlink.service.InvalidParameter", {{"parameter", 3}}),
              "the service did not accept the request");
    EXPECT_EQ(meaning("org.varlink.service.InvalidParameter", {{"parameter", "size"}}),
              "the service did not accept the parameter size");
    EXPECT_EQ(meaning("io.systemd.System"), "the service failed; its log says why");
    EXPECT_EQ(meaning("io.systemd.System", {{"errno", "EIO"}}), "the service failed; its log says why");
    EXPECT_EQ(meaning("io.systemd.System", {{"errno", -1}}), "the service failed with the unknown error -1");
    EXPECT_EQ(meaning("io.systemd.System", {{"errno", 1LL << 40}}),
              "the service failed with the unknown error 1099511627776");
}

}  // namespace
}  // namespace nsr::ctl
