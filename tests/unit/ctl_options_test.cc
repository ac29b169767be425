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

TEST(Options, Reclaim) {
    auto verb = std::get<ReclaimVerb>(std::get<Options>(parse({"--socket=/x/s", "reclaim"})).verb);
    EXPECT_EQ(verb.change, ReclaimVerb::Change::kFree);
    EXPECT_EQ(verb.state_dir, "/var/lib/nsresource");
    EXPECT_EQ(verb.runtime_dir, "/x");
    auto all = parse({"reclaim", "--dry-run", "--trust-others", "--state-dir=/s", "--runtime-dir=/r", "/a", "b"});
    verb = std::get<ReclaimVerb>(std::get<Options>(all).verb);
    EXPECT_EQ(verb.change, ReclaimVerb::Change::kNone);
    EXPECT_EQ(verb.others, ReclaimVerb::Others::kTrusted);
    EXPECT_EQ(verb.paths, (std::vector<std::string>{"/a", "b"}));
    EXPECT_EQ(verb.runtime_dir, "/r");
    expect_exit({"reclaim", "--trust-others"}, kWrongUsage);
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

RunVerb run_verb(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "run");
    arguments.insert(arguments.end(), {"--", "sh"});
    auto parsed = parse(std::move(arguments));
    if (!std::holds_alternative<Options>(parsed)) return {};  // without a command, which no good one is
    return std::get<RunVerb>(std::get<Options>(parsed).verb);
}

void expect_wrong_run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "run");
    arguments.insert(arguments.end(), {"--", "sh"});
    expect_exit(std::move(arguments), kWrongUsage);
}

TEST(RunOptions, NothingMoreThanARangeUnlessAskedFor) {
    auto verb = run_verb({});
    EXPECT_EQ(verb.type, RangeType::kManaged);
    EXPECT_EQ(verb.target, 0U);
    EXPECT_EQ(verb.delegates, 0U);
    EXPECT_EQ(verb.foreign, Foreign::kNotMapped);
    EXPECT_EQ(verb.network.veth, Network::Veth::kNone);
    EXPECT_EQ(verb.network.tap, Network::Tap::kNone);
    EXPECT_FALSE(verb.control_group);
}

TEST(RunOptions, NumbersHaveTheirBounds) {
    EXPECT_EQ(run_verb({"--delegate=16"}).delegates, 16U);
    EXPECT_EQ(run_verb({"--delegate", "0"}).delegates, 0U);
    EXPECT_EQ(run_verb({"--target=4294967294"}).target, 4294967294U);
    for (const char* wrong : {"--delegate=17", "--delegate=-1", "--delegate=", "--delegate=1x", "--delegate=0x1",
                              "--target=4294967295", "--target=-1", "--target=4294967296", "--target="})
        expect_wrong_run({wrong});
}

TEST(RunOptions, SelfIsOneId) {
    auto verb = run_verb({"--type=self", "--target=1000"});
    EXPECT_EQ(verb.type, RangeType::kSelf);
    EXPECT_EQ(verb.size, 1U);
    EXPECT_EQ(verb.target, 1000U);
    EXPECT_EQ(run_verb({"--size=1", "--type=self"}).size, 1U);
    EXPECT_EQ(run_verb({"--type=managed"}).size, 65536U);
    expect_wrong_run({"--type=self", "--size=65536"});
    expect_wrong_run({"--size=65536", "--type=self"});
    expect_wrong_run({"--type=Self"});
    expect_wrong_run({"--type="});
}

TEST(RunOptions, OneLinkOfEachKind) {
    auto one = run_verb({"--network=tap"});
    EXPECT_EQ(one.network.veth, Network::Veth::kNone);
    EXPECT_EQ(one.network.tap, Network::Tap::kOne);
    auto both = run_verb({"--network=tap", "--map-foreign", "--network", "veth"});
    EXPECT_EQ(both.network.veth, Network::Veth::kOne);
    EXPECT_EQ(both.network.tap, Network::Tap::kOne);
    EXPECT_EQ(both.foreign, Foreign::kMapped);
    for (const char* wrong : {"--network=", "--network=macvlan", "--network=veth,tap", "--network"})
        expect_wrong_run({wrong});
    expect_wrong_run({"--network=veth", "--network=veth"});
    expect_wrong_run({"--network=veth", "--network=tap", "--network=tap"});
    expect_wrong_run({"--network=veth", "tap"});
}

TEST(RunOptions, ACgroupWithAndWithoutAPath) {
    for (const auto& arguments : {std::vector{"--control-group"}, std::vector{"--control-group", "--size=1"}}) {
        auto verb = run_verb(arguments);
        ASSERT_TRUE(verb.control_group);
        EXPECT_FALSE(verb.control_group->path);
    }
    EXPECT_EQ(run_verb({"--control-group=/a b"}).control_group->path, "/a b");
    expect_wrong_run({"--control-group", "--control-group=/x"});
}

TEST(RunOptions, NoneMayBeGivenTwice) {
    for (const char* option : {"--size=1", "--name=x", "--type=self", "--target=0", "--delegate=1"})
        expect_wrong_run({option, option});
}

TEST(Options, RegisterNeedsOneSubject) {
    auto verb = std::get<RegisterVerb>(std::get<Options>(parse({"register", "--name=x", "17"})).verb);
    EXPECT_EQ(verb.name, "x");
    EXPECT_EQ(verb.what, "17");
    EXPECT_FALSE(std::get<RegisterVerb>(std::get<Options>(parse({"register", "/p"})).verb).name);
    expect_exit({"register"}, kWrongUsage);
    expect_exit({"register", "1", "2"}, kWrongUsage);
    expect_exit({"register", "--size=1", "1"}, kWrongUsage);
    expect_exit({"register", "1", "--", "sh"}, kWrongUsage);
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
