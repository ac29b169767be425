// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "varlink/descriptions.h"
#include "varlink/interface_definition.h"

namespace nsr::varlink {
namespace {

std::string render(const std::vector<DefinedField>& fields) {
    std::string text;
    for (const DefinedField& field : fields)
        text += fmt::format("{}{}:{}{}", text.empty() ? "" : ",", field.name,
                            field.presence == Presence::kOptional ? "?" : "", field.type);
    return "(" + text + ")";
}

/// An interface as lines without comments, to be compared.
std::vector<std::string> render(std::string_view interface) {
    auto definition = parse_interface(description(interface));
    EXPECT_TRUE(definition) << definition.error().what();
    std::vector<std::string> lines;
    EXPECT_EQ(definition->name, interface);
    for (const DefinedEnum& type : definition->enums)
        lines.push_back(fmt::format("{}={}", type.name, fmt::join(type.values, "|")));
    for (const DefinedMethod& method : definition->methods)
        lines.push_back(method.name + render(method.inputs) + "->" + render(method.outputs));
    for (const DefinedError& error : definition->errors) lines.push_back(error.name + render(error.fields));
    return lines;
}

using Lines = std::vector<std::string>;

TEST(Descriptions, varlink_service) {
    EXPECT_EQ(
        render("org.varlink.service"),
        (Lines{"GetInfo()->(vendor:string,product:string,version:string,url:string,interfaces:[]string)",
               "GetInterfaceDescription(interface:string)->(description:string)", "InterfaceNotFound(interface:string)",
               "MethodNotFound(method:string)", "MethodNotImplemented(method:string)",
               "InvalidParameter(parameter:string)", "PermissionDenied()", "ExpectedMore()"}));
}

TEST(Descriptions, systemd) {
    EXPECT_EQ(render("io.systemd"), (Lines{"Disconnected()", "TimedOut()", "Protocol()",
                                           "System(origin:?string,errnoName:?string,errno:?int)"}));
}

TEST(Descriptions, namespace_resource) {
    EXPECT_EQ(
        render("io.systemd.NamespaceResource"),
        (Lines{"AllocateUserRangeType=managed|self",
               "AllocateUserRange(name:string,mangleName:?bool,size:int,target:?int,userNamespaceFileDescriptor:int,"
               "type:?AllocateUserRangeType,delegateContainerRanges:?int,mapForeign:?bool)->(name:?string)",
               "RegisterUserNamespace(name:string,mangleName:?bool,userNamespaceFileDescriptor:int)->(name:?string)",
               "AddMountToUserNamespace(userNamespaceFileDescriptor:int,mountFileDescriptor:int)->()",
               "AddControlGroupToUserNamespace(userNamespaceFileDescriptor:int,controlGroupFileDescriptor:int)->()",
               "AddNetworkToUserNamespace(userNamespaceFileDescriptor:int,networkNamespaceFileDescriptor:?int,"
               "namespaceInterfaceName:?string,mode:string)->(hostInterfaceName:string,namespaceInterfaceName:?string,"
               "interfaceFileDescriptor:?int)",
               "UserNamespaceInterfaceNotSupported()", "NameExists()", "UserNamespaceExists()",
               "DynamicRangeUnavailable()", "NoDynamicRange()", "UserNamespaceNotRegistered()",
               "UserNamespaceWithoutUserRange()", "TooManyControlGroups()", "ControlGroupAlreadyAdded()",
               "TooManyNetworkInterfaces()", "TooManyDelegations()"}));
}

TEST(Descriptions, user_database) {
    EXPECT_EQ(
        render("io.systemd.UserDatabase"),
        (Lines{"GetUserRecord(uid:?int,userName:?string,fuzzyNames:?[]string,dispositionMask:?[]string,uidMin:?int,"
               "uidMax:?int,uuid:?string,service:string)->(record:object,incomplete:?bool)",
               "GetGroupRecord(gid:?int,groupName:?string,fuzzyNames:?[]string,dispositionMask:?[]string,gidMin:?int,"
               "gidMax:?int,uuid:?string,service:string)->(record:object,incomplete:?bool)",
               "GetMemberships(userName:?string,groupName:?string,service:string)->(userName:string,groupName:string)",
               "NoRecordFound()", "BadService()", "ServiceNotAvailable()", "ConflictingRecordFound()",
               "NonMatchingRecordFound()", "EnumerationNotSupported()"}));
}

TEST(Descriptions, nothing_else_is_described) { EXPECT_EQ(description("io.systemd.Nope"), ""); }

TEST(InterfaceDefinition, broken_texts_are_refused) {
    for (std::string_view text : {"",
                                  "interface",
                                  "interface a",
                                  "interface a.b method M() -> ()",
                                  "interface a..b\n",
                                  "interface a.b.\n",
                                  "interface .a.b\n",
                                  "interface a.b\nmethod M()\n",
                                  "interface a.b\nmethod m() -> ()\n",
                                  "interface a.b\nmethod M -> ()\n",
                                  "interface a.b\nmethod M(a) -> ()\n",
                                  "interface a.b\nmethod M(a: int,) -> ()\n",
                                  "interface a.b\nmethod M(a: int b: int) -> ()\n",
                                  "interface a.b\nmethod M(a: int, a: int) -> ()\n",
                                  "interface a.b\nmethod M(a: ??int) -> ()\n",
                                  "interface a.b\nmethod M(a: []) -> ()\n",
                                  "interface a.b\nmethod M(1a: int) -> ()\n",
                                  "interface a.b\nmethod M(a_: int) -> ()\n",
                                  "interface a.b\nmethod M(a: Unknown) -> ()\n",
                                  "interface a.b\nmethod M(a: unknown) -> ()\n",
                                  "interface a.b\nmethod M() -> () error E ()\n",
                                  "interface a.b\nerror E\n",
                                  "interface a.b\nerror E (\n",
                                  "interface a.b\ntype T ()\n",
                                  "interface a.b\ntype T (a, a)\n",
                                  "interface a.b\ntype T (a: int)\n",
                                  "interface a.b\nerror E ()\nerror E ()\n",
                                  "interface a.b\nthing E ()\n",
                                  "interface a.b\n;\n",
                                  "interface a.b\nmethod M() -> ()\n\xff",
                                  "# only a comment"})
        EXPECT_EQ(parse_interface(text).has_value() ? 0 : parse_interface(text).error().code(), EBADMSG) << text;
}

TEST(InterfaceDefinition, the_line_is_named) {
    EXPECT_NE(parse_interface("interface a.b\n\n# x\nmethod m() -> ()\n").error().what().find("line 4"),
              std::string::npos);
}

constexpr std::string_view kText = R"(interface a.b
type Colour (red, green)
method M(a: string, b: ?int, c: ?Colour, d: ?[]string, e: bool) -> ()
)";
constexpr std::string_view kColours[] = {"red", "green"};
constexpr Field kA{.name = "a"};
constexpr Field kB{.name = "b", .kind = Kind::kInt, .presence = Presence::kOptional};
constexpr Field kC{.name = "c", .presence = Presence::kOptional, .values = kColours};
constexpr Field kD{.name = "d", .kind = Kind::kStrings, .presence = Presence::kOptional};
constexpr Field kE{.name = "e", .kind = Kind::kBool};

int difference(std::vector<Field> fields, std::string_view method = "M") {
    Status status = fields_match(kText, method, fields);
    return status ? 0 : status.error().code();
}

TEST(FieldsMatch, compares_everything) {
    EXPECT_EQ(difference({kA, kB, kC, kD, kE}), 0);
    EXPECT_EQ(difference({kA, kB, kC, kD, kE}, "N"), EINVAL);
    EXPECT_EQ(difference({kA, kB, kC, kD}), EINVAL);
    EXPECT_EQ(difference({kA, kB, kC, kD, kE, kA}), EINVAL);
    EXPECT_EQ(difference({kB, kA, kC, kD, kE}), EINVAL);
    Field mandatory = kB, wrong_kind = kB, free = kC, other_values = kC;
    mandatory.presence = Presence::kMandatory;
    wrong_kind.kind = Kind::kBool;
    free.values = {};
    other_values.values = std::span(kColours).first(1);
    EXPECT_EQ(difference({kA, mandatory, kC, kD, kE}), EINVAL);
    EXPECT_EQ(difference({kA, wrong_kind, kC, kD, kE}), EINVAL);
    EXPECT_EQ(difference({kA, kB, free, kD, kE}), EINVAL);
    EXPECT_EQ(difference({kA, kB, other_values, kD, kE}), EINVAL);
}

}  // namespace
}  // namespace nsr::varlink
