// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/parameters.h"

#include <gtest/gtest.h>

namespace nsr::varlink {
namespace {

constexpr std::string_view kColours[] = {"red", "green"};
constexpr Field kFields[] = {
    {.name = "name"},
    {.name = "mangle", .kind = Kind::kBool, .presence = Presence::kOptional},
    {.name = "size", .kind = Kind::kInt},
    {.name = "target", .kind = Kind::kInt, .presence = Presence::kOptional, .bounds = kIdBounds},
    {.name = "fd", .kind = Kind::kInt, .presence = Presence::kOptional, .bounds = kUint32Bounds},
    {.name = "colour", .presence = Presence::kOptional, .values = kColours},
    {.name = "names", .kind = Kind::kStrings, .presence = Presence::kOptional},
};

Parameters read(std::string_view text) {
    auto request = parse_request(fmt::format(R"({{"method":"a.B","parameters":{}}})", text));
    EXPECT_TRUE(request) << text;
    return Parameters(kFields, std::move(request->parameters), std::move(request->duplicate_parameter));
}

std::string culprit(std::string_view text) {
    Parameters parameters = read(text);
    if (auto name = parameters.find_malformed()) return "malformed " + std::string(*name);
    if (auto name = parameters.find_out_of_bounds()) return "bounds " + std::string(*name);
    return "";
}

/// The usual parameters, and one more.
std::string with(std::string_view name, std::string_view value) {
    if (name == "size") return culprit(fmt::format(R"({{"name":"a","size":{}}})", value));
    return culprit(fmt::format(R"({{"name":"a","size":1,"{}":{}}})", name, value));
}

TEST(Parameters, all_well) {
    EXPECT_EQ(culprit(R"({"name":"a","size":1})"), "");
    EXPECT_EQ(culprit(R"({"names":["a","b"],"colour":"red","fd":0,"target":0,"size":1,"mangle":true,"name":""})"), "");
}

TEST(Parameters, missing_ones_are_named_in_order) {
    EXPECT_EQ(culprit("{}"), "malformed name");
    EXPECT_EQ(culprit(R"({"size":1})"), "malformed name");
    EXPECT_EQ(culprit(R"({"name":"a"})"), "malformed size");
    EXPECT_EQ(culprit(R"({"names":1,"size":"x","mangle":1,"name":1})"), "malformed name");
    EXPECT_EQ(culprit(R"({"names":1,"size":"x","mangle":1,"name":"a"})"), "malformed mangle");
    EXPECT_EQ(culprit(R"({"names":1,"mangle":false,"name":"a"})"), "malformed size");
}

TEST(Parameters, null_is_absent) {
    EXPECT_EQ(culprit(R"({"name":null,"size":1})"), "malformed name");
    EXPECT_EQ(culprit(R"({"name":"a","size":1,"mangle":null,"target":null,"fd":null,"colour":null,"names":null})"), "");
    EXPECT_FALSE(read(R"({"target":null})").has("target"));
    EXPECT_FALSE(read(R"({"target":null})").integer("target"));
}

TEST(Parameters, unknown_ones_come_after_malformed_and_before_bounds) {
    EXPECT_EQ(culprit(R"({"other":1,"name":"a","size":-1})"), "malformed other");
    EXPECT_EQ(culprit(R"({"other":null,"name":"a","size":1})"), "malformed other");
    EXPECT_EQ(culprit(R"({"Name":"a","name":"a","size":1})"), "malformed Name");
    EXPECT_EQ(culprit(R"({"other":1,"name":"a","size":"x"})"), "malformed size");
    EXPECT_EQ(culprit(R"({"":1,"name":"a","size":1})"), "malformed ");
}

TEST(Parameters, one_that_came_twice_is_named) {
    EXPECT_EQ(culprit(R"({"name":"a","size":1,"fd":1,"fd":1})"), "malformed fd");
    EXPECT_EQ(culprit(R"({"name":"a","size":-1,"fd":1,"fd":1})"), "malformed fd");
    EXPECT_EQ(culprit(R"({"size":1,"fd":1,"fd":1})"), "malformed name");
}

TEST(Parameters, types) {
    for (std::string_view value : {"1", "1.5", "[]", "{}", "true"})
        EXPECT_EQ(with("colour", value), "malformed colour");
    for (std::string_view value : {"1", "0", "\"true\"", "[]", "{}"})
        EXPECT_EQ(with("mangle", value), "malformed mangle");
    for (std::string_view value : {"1", "\"a\"", "{}", "[1]", "[\"a\",null]", "[[\"a\"]]", "true"})
        EXPECT_EQ(with("names", value), "malformed names");
    for (std::string_view value : {"1.5",     "-0.5",   "1e-400",   "true",      "false",       "[]",      "[1]",
                                   "{}",      R"("")",  R"("1 ")",  R"(" 1")",   R"("1.0")",    R"("7x")", R"("-1")",
                                   R"("+1")", R"("x")", R"("1e3")", R"("0x10")", R"("\u0661")", R"("-")"}) {
        EXPECT_EQ(with("size", value), "malformed size") << value;
        EXPECT_EQ(with("target", value), "malformed target") << value;
    }
}

TEST(Parameters, integers_in_all_forms) {
    for (std::string_view value : {"70000", "70000.0", "7e4", "7E+4", "700000e-1", R"("70000")", R"("0070000")",
                                   "70000.000000000000000000000000000"}) {
        EXPECT_EQ(with("size", value), "") << value;
        EXPECT_EQ(read(fmt::format(R"({{"size":{}}})", value)).integer("size"), 70000) << value;
    }
    EXPECT_EQ(read(R"({"size":7.0})").integer("size"), 7);
    EXPECT_EQ(read(R"({"size":-0})").integer("size"), 0);
    EXPECT_EQ(read(R"({"size":-0.0})").integer("size"), 0);
    EXPECT_EQ(read(R"({"size":9223372036854775807})").integer("size"), INT64_MAX);
    EXPECT_EQ(read(R"({"size":"9223372036854775807"})").integer("size"), INT64_MAX);
}

TEST(Parameters, huge_numbers_are_out_of_bounds) {
    for (std::string value :
         {"9223372036854775808", "18446744073709551615", "18446744073709551616", "1e400", "-1e400", "9.3e18", "1e19",
          "-9223372036854775809", "\"9223372036854775808\"", "-1", "-1.0", "-9223372036854775808"})
        EXPECT_EQ(with("size", value), "bounds size") << value;
    EXPECT_EQ(with("size", std::string(400, '1')), "bounds size");
    EXPECT_EQ(with("size", '"' + std::string(400, '1') + '"'), "bounds size");
}

TEST(Parameters, bounds_of_ids) {
    for (std::string_view value : {"0", "1", "65534", "65536", "4294967294", R"("4294967294")", "4294967294.0"})
        EXPECT_EQ(with("target", value), "") << value;
    for (std::string_view value : {"-1", "65535", "4294967295", "4294967296", R"("65535")", "65535.0", "1e10",
                                   R"("4294967295")", "9223372036854775807"})
        EXPECT_EQ(with("target", value), "bounds target") << value;
}

TEST(Parameters, bounds_of_descriptor_indexes) {
    for (std::string_view value : {"0", "65535", "4294967294", "4294967295"}) EXPECT_EQ(with("fd", value), "") << value;
    for (std::string_view value : {"-1", "-2147483648", "4294967296", "9223372036854775808", "18446744073709551616"})
        EXPECT_EQ(with("fd", value), "bounds fd") << value;
}

TEST(Parameters, values_of_enumerated_types) {
    EXPECT_EQ(with("colour", R"("green")"), "");
    for (std::string_view value : {R"("")", R"("Red")", R"("red ")", R"("blue")"})
        EXPECT_EQ(with("colour", value), "bounds colour");
}

TEST(Parameters, bounds_are_complained_about_in_order) {
    EXPECT_EQ(culprit(R"({"colour":"x","target":-1,"name":"a","size":-1})"), "bounds size");
    EXPECT_EQ(culprit(R"({"colour":"x","target":-1,"name":"a","size":1})"), "bounds target");
}

TEST(Parameters, values) {
    Parameters parameters = read(R"({"name":"a","mangle":false,"size":"5","names":["x"]})");
    EXPECT_EQ(parameters.string("name"), "a");
    EXPECT_EQ(parameters.boolean("mangle"), false);
    EXPECT_EQ(parameters.integer("size"), 5);
    EXPECT_TRUE(parameters.has("names"));
    EXPECT_FALSE(parameters.has("target"));
    EXPECT_FALSE(parameters.string("colour"));
    EXPECT_FALSE(parameters.boolean("colour"));
}

}  // namespace
}  // namespace nsr::varlink
