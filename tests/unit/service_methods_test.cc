// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/methods.h"

#include <gtest/gtest.h>

#include "service/user_names.h"
#include "varlink/descriptions.h"
#include "varlink/interface_definition.h"

namespace nsr::service {
namespace {

// The .varlink files are the truth about the interfaces.
TEST(Methods, HaveTheParametersOfTheirDescriptions) {
    struct Case {
        std::string_view interface, method;
        std::span<const varlink::Field> fields;
    };
    const Case cases[] = {
        {"io.systemd.NamespaceResource", "AllocateUserRange", allocate_user_range_fields()},
        {"io.systemd.NamespaceResource", "RegisterUserNamespace", register_user_namespace_fields()},
        {"io.systemd.NamespaceResource", "AddMountToUserNamespace", add_mount_fields()},
        {"io.systemd.NamespaceResource", "AddControlGroupToUserNamespace", add_control_group_fields()},
        {"io.systemd.NamespaceResource", "AddNetworkToUserNamespace", add_network_fields()},
        {"io.systemd.UserDatabase", "GetUserRecord", get_user_record_fields()},
        {"io.systemd.UserDatabase", "GetGroupRecord", get_group_record_fields()},
        {"io.systemd.UserDatabase", "GetMemberships", get_memberships_fields()},
    };
    for (const auto& [interface, method, fields] : cases) {
        Status match = varlink::fields_match(varlink::description(interface), method, fields);
        EXPECT_TRUE(match) << method << ": " << match.error().what();
    }
}

TEST(UserNames, ThatNobodyCanHave) {
    for (std::string_view name :
         {"", ".", "..", "0", "1000", "-", "-1", "a:b", "a/b", "a\nb", " a", "a ", "\ta", "a\x7f"})
        EXPECT_FALSE(is_possible_user_name(name)) << name;
    for (std::string_view name : {"a", "a b", "é", "$", "ns-x-0", "-a", "1a", "..."})
        EXPECT_TRUE(is_possible_user_name(name)) << name;
}

TEST(UserNames, OfMembers) {
    auto member = parse_member_name("ns-a-b-65535");
    ASSERT_TRUE(member);
    EXPECT_EQ(member->registration, "a-b");
    EXPECT_EQ(member->offset, 65535u);
    for (std::string_view name : {"ns-a", "ns-a-", "ns-a-01", "ns-a-+1", "ns-a--x", "ns--0", "ns-a b-0", "na-a-0",
                                  "ns-", "", "ns-a-99999999999", "ns-0"})
        EXPECT_FALSE(parse_member_name(name)) << name;
}

}  // namespace
}  // namespace nsr::service
