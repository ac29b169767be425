// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/names.h"

#include <gtest/gtest.h>

namespace nsr::registry {
namespace {

constexpr uint64_t kConnection = 0x1234'5678'9abc'def0;

std::string final_or_empty(std::string_view requested, uint32_t owner, Mangle mangle,
                           uint64_t connection = kConnection) {
    auto name = final_name(requested, Uid(owner), mangle, connection);
    if (name) return *name;
    EXPECT_EQ(name.error().code(), EINVAL);
    return "";
}

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

TEST(Name, HasOneTo22Characters) {
    EXPECT_FALSE(is_valid_name(""));
    EXPECT_TRUE(is_valid_name("a"));
    EXPECT_TRUE(is_valid_name(std::string(22, 'a')));
    EXPECT_FALSE(is_valid_name(std::string(23, 'a')));
}

TEST(Name, HasOnlyTheAllowedCharactersInAnyPlace) {
    for (int c = 0; c < 256; ++c) {
        bool allowed = std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
                           .find(static_cast<char>(c)) != std::string_view::npos;
        std::string one(1, static_cast<char>(c));
        EXPECT_EQ(is_valid_name(one), allowed) << c;
        EXPECT_EQ(is_valid_name(one + "b"), allowed) << c;
        EXPECT_EQ(is_valid_name("b" + one), allowed) << c;
    }
}

TEST(FinalName, OfRootIsAsRequested) {
    EXPECT_EQ(final_or_empty("foo", 0, Mangle::kNo), "foo");
    EXPECT_EQ(final_or_empty("-", 0, Mangle::kYes), "-");
}

TEST(FinalName, OfOthersIsPrefixed) {
    EXPECT_EQ(final_or_empty("foo", 1000, Mangle::kNo), "1000-foo");
    EXPECT_EQ(final_or_empty("inner", 243924992, Mangle::kYes), "243924992-inner");
}

TEST(FinalName, OfAnEmptyRequestIsThePrefixOrNothing) {
    EXPECT_EQ(final_or_empty("", 1000, Mangle::kNo), "1000-");
    EXPECT_EQ(final_or_empty("", 0, Mangle::kNo), "");
}

TEST(FinalName, CountsThePrefix) {
    EXPECT_EQ(final_or_empty(std::string(17, 'x'), 1000, Mangle::kNo), "1000-" + std::string(17, 'x'));
    EXPECT_EQ(final_or_empty(std::string(18, 'x'), 1000, Mangle::kNo), "");
}

TEST(FinalName, RefusesUnfitCharactersWithoutMangling) {
    for (std::string bad : {"a/b", "..", "a b", "(cat)929", "\xc3\xa4", "a\nb"})
        EXPECT_EQ(final_or_empty(bad, 1000, Mangle::kNo), "") << bad;
    EXPECT_EQ(final_or_empty(std::string_view("a\0b", 3), 0, Mangle::kNo), "");
}

TEST(FinalName, OfAFitRequestIsNeverChanged) {
    EXPECT_EQ(final_or_empty(std::string(22, 'z'), 0, Mangle::kYes), std::string(22, 'z'));
    EXPECT_EQ(final_or_empty("foo", 1000, Mangle::kYes, 1), final_or_empty("foo", 1000, Mangle::kYes, 2));
}

TEST(FinalName, IsShortenedIfThatIsEnough) {
    EXPECT_EQ(final_or_empty(std::string(30, 'x'), 0, Mangle::kYes), std::string(22, 'x'));
    EXPECT_EQ(final_or_empty(std::string(30, 'x'), 1000, Mangle::kYes), "1000-" + std::string(17, 'x'));
    // What is unfit is cut off.
    EXPECT_EQ(final_or_empty(std::string(22, 'x') + "/", 0, Mangle::kYes), std::string(22, 'x'));
}

TEST(FinalName, IsReplacedByHexDigitsOtherwise) {
    std::string name = final_or_empty("(cat)929", 0, Mangle::kYes);
    EXPECT_EQ(name.size(), 16u);
    EXPECT_TRUE(is_hex(name));
    name = final_or_empty("(cat)929", 1000, Mangle::kYes);
    EXPECT_EQ(name.substr(0, 5), "1000-");
    EXPECT_EQ(name.size(), 5u + 16u);
    EXPECT_TRUE(is_hex(name.substr(5)));
    EXPECT_TRUE(is_hex(final_or_empty("", 0, Mangle::kYes)));
    EXPECT_EQ(final_or_empty("", 0, Mangle::kYes).size(), 16u);
}

TEST(FinalName, HasAsManyHexDigitsAsFit) {
    std::string name = final_or_empty("(cat)", 4294967294, Mangle::kYes);
    EXPECT_EQ(name.substr(0, 11), "4294967294-");
    EXPECT_EQ(name.size(), 22u);
    EXPECT_TRUE(is_hex(name.substr(11)));
}

TEST(FinalName, HasHexDigitsOfTheNameAndTheConnection) {
    std::string name = final_or_empty("(cat)", 0, Mangle::kYes, 1);
    EXPECT_EQ(final_or_empty("(cat)", 0, Mangle::kYes, 1), name);
    EXPECT_NE(final_or_empty("(cat)", 0, Mangle::kYes, 2), name);
    EXPECT_NE(final_or_empty("(dog)", 0, Mangle::kYes, 1), name);
}

}  // namespace
}  // namespace nsr::registry
