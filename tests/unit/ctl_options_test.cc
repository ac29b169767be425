// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/options.h"

#include <gtest/gtest.h>

namespace nsr::ctl {
namespace {

std::variant<Options, Finished> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "nsresourcectl");
    return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

void expect_exit(std::vector<const char*> arguments, int exit_status) {
    auto parsed = parse(std::move(arguments));
    ASSERT_TRUE(std::holds_alternative<Finished>(parsed));
    EXPECT_EQ(std::get<Finished>(parsed).exit_status, exit_status);
}

TEST(Options, DefaultsAreThoseOfTheSystem) {
    auto options = std::get<Options>(parse({"list"}));
    EXPECT_EQ(options.setting.socket, "/run/systemd/io.systemd.NamespaceResource");
    EXPECT_EQ(options.setting.json, JsonMode::kOff);
    EXPECT_EQ(options.setting.paging, Paging::kOnTerminal);
    EXPECT_TRUE(std::holds_alternative<ListVerb>(options.verb));
}

TEST(Options, GlobalOnesMayStandBeforeAndAfterTheVerb) {
    for (const auto& arguments : {std::vector{"--json=short", "--no-pager", "--socket=/x/s", "status"},
                                  std::vector{"status", "--json=short", "--no-pager", "--socket=/x/s"}}) {
        auto options = std::get<Options>(parse(arguments));
        EXPECT_EQ(options.setting.json, JsonMode::kShort);
        EXPECT_EQ(options.setting.paging, Paging::kNever);
        EXPECT_EQ(options.setting.socket, "/x/s");
        EXPECT_EQ(options.setting.resource_directory(), "/x/nsresource");
        EXPECT_TRUE(std::holds_alternative<StatusVerb>(options.verb));
    }
}

TEST(Options, JsonModes) {
    EXPECT_EQ(std::get<Options>(parse({"list", "--json=off"})).setting.json, JsonMode::kOff);
    EXPECT_EQ(std::get<Options>(parse({"list", "--json=pretty"})).setting.json, JsonMode::kPretty);
    expect_exit({"list", "--json=long"}, kWrongUsage);
    expect_exit({"list", "--json=0"}, kWrongUsage);
    expect_exit({"list", "--json="}, kWrongUsage);
}

TEST(Options, WhatFollowsTheHyphensIsTheCommandAlone) {
    auto verb = std::get<RunVerb>(
        std::get<Options>(parse({"run", "--size=1", "--name=a b", "--", "list", "--size=2", "--", "--json=x"})).verb);
    EXPECT_EQ(verb.size, 1U);
    EXPECT_EQ(verb.name, "a b");  // the service judges names, and says why
    EXPECT_EQ(verb.command, (std::vector<std::string>{"list", "--size=2", "--", "--json=x"}));
}

TEST(Options, RunHasDefaults) {
    auto verb = std::get<RunVerb>(std::get<Options>(parse({"run", "--", "sh"})).verb);
    EXPECT_EQ(verb.size, 65536U);
    EXPECT_FALSE(verb.name);
}

TEST(Options, RunNeedsACommandAndASizeThatThereIs) {
    expect_exit({"run"}, kWrongUsage);
    expect_exit({"run", "--"}, kWrongUsage);
    expect_exit({"run", "sh"}, kWrongUsage);
    for (const char* size : {"--size=0", "--size=2", "--size=65537", "--size=-1", "--size=x", "--size=4294967297"})
        expect_exit({"run", size, "--", "sh"}, kWrongUsage);
}

TEST(Options, ShowNeedsOneArgument) {
    auto options = std::get<Options>(parse({"show", "foo"}));
    EXPECT_EQ(std::get<ShowVerb>(options.verb).what, "foo");
    expect_exit({"show"}, kWrongUsage);
    expect_exit({"show", "a", "b"}, kWrongUsage);
    expect_exit({"show", "--", "b"}, kWrongUsage);
}

TEST(Options, OneVerbExactly) {
    expect_exit({}, kWrongUsage);
    expect_exit({"dance"}, kWrongUsage);
    expect_exit({"list", "status"}, kWrongUsage);
    expect_exit({"list", "--", "sh"}, kWrongUsage);
    expect_exit({"--bogus", "list"}, kWrongUsage);
}

TEST(Options, TextsThatAreAskedForAreNoError) {
    expect_exit({"--version"}, kDone);
    expect_exit({"--help"}, kDone);
    expect_exit({"run", "--help"}, kDone);
}

TEST(Setting, FilesAreBesideTheSocket) {
    EXPECT_EQ(Setting{.socket = "/run/systemd/s"}.resource_directory(), "/run/systemd/nsresource");
    EXPECT_EQ(Setting{.socket = "s"}.resource_directory(), "./nsresource");
}

}  // namespace
}  // namespace nsr::ctl
