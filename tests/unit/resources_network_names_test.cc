// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/network_names.h"

#include <gtest/gtest.h>
#include <set>

namespace nsr::resources {
namespace {

const LinkPurpose kVeth{LinkMode::kVeth, Uid(1000), "1000-foo", std::nullopt};
const LinkPurpose kNamedVeth{LinkMode::kVeth, Uid(1000), "1000-foo", "eth7"};
const LinkPurpose kTap{LinkMode::kTap, Uid(1000), "1000-foo", std::nullopt};

TEST(NetworkNames, KnowsInterfaceNames) {
    for (const char* name : {"host0", "x", "a-b_c.d", "abcdefghijklmno", "0x1", "...", "all0", "-", "~!@#$^&*()"})
        EXPECT_TRUE(is_valid_interface_name(name)) << name;
    for (std::string_view name :
         {std::string_view(""), std::string_view("abcdefghijklmnop"), std::string_view("."), std::string_view(".."),
          std::string_view("all"), std::string_view("default"), std::string_view("17"), std::string_view("0"),
          std::string_view("a b"), std::string_view("a\tb"), std::string_view("a/b"), std::string_view("a:1"),
          std::string_view("a%d"), std::string_view("a\0b", 3), std::string_view("\x7f"), std::string_view("\xc3\xa4")})
        EXPECT_FALSE(is_valid_interface_name(name)) << name;
}

TEST(NetworkNames, HostNamesAreStableAndDifferent) {
    // Written down: another run, another machine, must give the same.
    EXPECT_EQ(host_interface_name(kVeth), "ns-442bb9a0bf90");
    std::set<std::string> names{host_interface_name(kVeth), host_interface_name(kNamedVeth), host_interface_name(kTap),
                                host_interface_name({LinkMode::kVeth, Uid(1000), "1000-foo", "host0"}),
                                host_interface_name({LinkMode::kVeth, Uid(1000), "1000-fo", "oeth7"})};
    EXPECT_EQ(names.size(), 5u);
    for (const auto& name : names) {
        EXPECT_EQ(name.size(), 15u);
        EXPECT_TRUE(is_valid_interface_name(name));
    }
}

TEST(NetworkNames, AlternativeNames) {
    EXPECT_EQ(alternative_name(kVeth), "ns-1000-1000-foo");
    EXPECT_EQ(alternative_name(kNamedVeth), "ns-1000-1000-foo-eth7");
    EXPECT_EQ(alternative_name(kTap), "ns-1000-1000-foo");
    EXPECT_TRUE(is_alternative_name_of("ns-1000-1000-foo", Uid(1000), "1000-foo"));
    EXPECT_TRUE(is_alternative_name_of("ns-1000-1000-foo-eth7", Uid(1000), "1000-foo"));
    EXPECT_FALSE(is_alternative_name_of("ns-1000-1000-foo2", Uid(1000), "1000-foo"));
    EXPECT_FALSE(is_alternative_name_of("ns-1000-1000-foo-", Uid(1000), "1000-foo"));
    EXPECT_FALSE(is_alternative_name_of("ns-0-1000-foo", Uid(1000), "1000-foo"));
    EXPECT_FALSE(is_alternative_name_of("", Uid(1000), "1000-foo"));
}

TEST(NetworkNames, AddressesAreStableLocalAndDifferent) {
    MacAddress host = host_mac_address(host_interface_name(kVeth)), inside = inside_mac_address(kVeth);
    EXPECT_EQ(host, (MacAddress{0xba, 0xd8, 0x62, 0xe6, 0xf4, 0x56}));
    EXPECT_EQ(inside, (MacAddress{0xca, 0xae, 0xfd, 0x57, 0x60, 0x0b}));
    std::set<MacAddress> all;
    for (int i = 0; i < 500; ++i) {
        std::string name = std::to_string(i);
        LinkPurpose purpose{LinkMode::kVeth, Uid(0), name, std::nullopt};
        for (const auto& mac : {host_mac_address(host_interface_name(purpose)), inside_mac_address(purpose)}) {
            EXPECT_EQ(mac[0] & 3, 2) << "locally administered, unicast";
            all.insert(mac);
        }
    }
    EXPECT_EQ(all.size(), 1000u);
}

}  // namespace
}  // namespace nsr::resources
