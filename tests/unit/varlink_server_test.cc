// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/sys.h"
#include "varlink/descriptions.h"

namespace nsr::varlink {
namespace {

constexpr Field kFields[] = {{.name = "x", .kind = Kind::kInt}};

class ServerTest : public testing::Test {
protected:
    ServerTest() : server_({"vendor", "product", "1", "https://example.org"}) {
        server_.add_interface("io.systemd.NamespaceResource", description("io.systemd.NamespaceResource"),
                              [this] { return refusal_; });
        server_.add_interface("io.systemd.UserDatabase", description("io.systemd.UserDatabase"));
        server_.add_method("io.systemd.UserDatabase.Double", kFields, [this](Call& call) -> Outcome {
            calls_++;
            if (!call.fds.empty()) taken_ = std::move(call.fds[0]);
            if (call.peer.uid == Uid(1)) return permission_denied();
            Reply reply;
            reply.parameters = {{"y", *call.parameters.integer("x") * 2}};
            return reply;
        });
        server_.add_method("io.systemd.NamespaceResource.Gated", kFields, [](Call&) -> Outcome { return Reply{}; });
    }

    /// The outcome as text, or nothing.
    std::string call(std::string_view text, std::vector<UniqueFd> fds = {}) {
        auto request = parse_request(text);
        EXPECT_TRUE(request) << text;
        request->fds = std::move(fds);
        auto outcome = server_.dispatch(*std::move(request), peer_);
        if (!outcome) return "";
        std::string answer = serialize_outcome(*outcome);
        answer.pop_back();
        return answer;
    }
    std::string call_method(std::string_view method, std::string_view parameters = "{}") {
        return call(fmt::format(R"({{"method":"{}","parameters":{}}})", method, parameters));
    }

    Server server_;
    Peer peer_;
    std::optional<Fault> refusal_;
    UniqueFd taken_;
    int calls_ = 0;
};

constexpr std::string_view kDouble = "io.systemd.UserDatabase.Double";

TEST_F(ServerTest, a_method_is_called) {
    EXPECT_EQ(call_method(kDouble, R"({"x":21})"), R"({"parameters":{"y":42}})");
    peer_.uid = Uid(1);
    EXPECT_EQ(call_method(kDouble, R"({"x":21})"),
              R"({"error":"org.varlink.service.PermissionDenied","parameters":{}})");
}

TEST_F(ServerTest, introduces_itself) {
    EXPECT_EQ(
        call_method("org.varlink.service.GetInfo"),
        R"({"parameters":{"vendor":"vendor","product":"product","version":"1","url":"https://example.org",)"
        R"("interfaces":["io.systemd","io.systemd.NamespaceResource","io.systemd.UserDatabase","org.varlink.service"]}})");
    EXPECT_EQ(call_method("org.varlink.service.GetInfo", R"({"a":1})"),
              R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"a"}})");
}

TEST_F(ServerTest, describes_every_interface) {
    for (std::string_view name :
         {"io.systemd", "io.systemd.NamespaceResource", "io.systemd.UserDatabase", "org.varlink.service"}) {
        std::string answer =
            call_method("org.varlink.service.GetInterfaceDescription", fmt::format(R"({{"interface":"{}"}})", name));
        auto reply = parse_reply(answer);
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->parameters["description"].as_string(), std::string(description(name)));
    }
}

TEST_F(ServerTest, knows_no_other_interface) {
    for (std::string_view name : {"io.systemd.Nope", "", "io.systemd.NamespaceResourc", "IO.SYSTEMD", "ü"})
        EXPECT_EQ(
            call_method("org.varlink.service.GetInterfaceDescription", fmt::format(R"({{"interface":"{}"}})", name)),
            fmt::format(R"({{"error":"org.varlink.service.InterfaceNotFound","parameters":{{"interface":"{}"}}}})",
                        name));
    for (std::string_view parameters :
         {"{}", "null", R"({"interface":null})", R"({"interface":1})", R"({"interface":[]})"})
        EXPECT_EQ(call_method("org.varlink.service.GetInterfaceDescription", parameters),
                  R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"interface"}})");
}

TEST_F(ServerTest, unknown_methods_of_known_interfaces) {
    for (std::string_view method :
         {"io.systemd.NamespaceResource.Nope", "io.systemd.NamespaceResource.", "io.systemd.NamespaceResource",
          "org.varlink.service.getinfo", "org.varlink.service.", "io.systemd.Nope"})
        EXPECT_EQ(
            call_method(method, R"({"a":1})"),
            fmt::format(R"({{"error":"org.varlink.service.MethodNotFound","parameters":{{"method":"{}"}}}})", method));
}

TEST_F(ServerTest, methods_of_unknown_interfaces) {
    auto expected = [](std::string_view interface) {
        return fmt::format(R"({{"error":"org.varlink.service.InterfaceNotFound","parameters":{{"interface":"{}"}}}})",
                           interface);
    };
    EXPECT_EQ(call_method("io.example.Foo.Bar"), expected("io.example.Foo"));
    EXPECT_EQ(call_method("x.y"), expected("x"));
    EXPECT_EQ(call_method("é.ü"), expected("é"));
    EXPECT_EQ(call_method("."), expected(""));
    EXPECT_EQ(call_method(".."), expected("."));
    EXPECT_EQ(call_method("Foo"), expected("Foo"));
    EXPECT_EQ(call_method(""), expected(""));
}

TEST_F(ServerTest, bad_parameters_are_named_and_the_method_is_not_called) {
    for (std::string_view parameters :
         {"{}", R"({"x":null})", R"({"x":[]})", R"({"x":1,"x":1})", R"({"x":-1})", R"({"x":1e400})"})
        EXPECT_EQ(call_method(kDouble, parameters),
                  R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"x"}})");
    EXPECT_EQ(call_method(kDouble, R"({"x":-1,"deep":[[1]]})"),
              R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"deep"}})");
    EXPECT_EQ(calls_, 0);
}

TEST_F(ServerTest, oneway_is_carried_out_without_an_answer) {
    EXPECT_EQ(call(R"({"method":"io.systemd.UserDatabase.Double","parameters":{"x":1},"oneway":true})"), "");
    EXPECT_EQ(calls_, 1);
    EXPECT_EQ(call(R"({"method":"io.systemd.UserDatabase.Double","parameters":{},"oneway":true})"), "");
    EXPECT_EQ(call(R"({"method":"no.such.Method","oneway":true})"), "");
}

TEST_F(ServerTest, more_and_upgrade_change_nothing) {
    EXPECT_EQ(call(R"({"method":"io.systemd.UserDatabase.Double","parameters":{"x":1},"more":true})"),
              R"({"parameters":{"y":2}})");
    EXPECT_EQ(call(R"({"method":"io.systemd.UserDatabase.Double","parameters":{"x":1},"upgrade":true})"),
              R"({"parameters":{"y":2}})");
    EXPECT_EQ(call(R"({"method":"io.systemd.UserDatabase.Double","more":true})"),
              R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"x"}})");
}

TEST_F(ServerTest, a_gate_comes_after_malformed_and_before_bounds) {
    refusal_ = Fault{"io.systemd.NamespaceResource.UserNamespaceInterfaceNotSupported", {}};
    constexpr std::string_view refused =
        R"({"error":"io.systemd.NamespaceResource.UserNamespaceInterfaceNotSupported","parameters":{}})";
    EXPECT_EQ(call_method("io.systemd.NamespaceResource.Gated", R"({"x":-1})"), refused);
    EXPECT_EQ(call_method("io.systemd.NamespaceResource.Gated", R"({"x":1})"), refused);
    EXPECT_EQ(call_method("io.systemd.NamespaceResource.Gated", R"({"x":1,"y":1})"),
              R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"y"}})");
    EXPECT_EQ(call_method(kDouble, R"({"x":1})"), R"({"parameters":{"y":2}})");
    refusal_.reset();
    EXPECT_EQ(call_method("io.systemd.NamespaceResource.Gated", R"({"x":1})"), R"({"parameters":{}})");
}

TEST_F(ServerTest, descriptors_that_nobody_takes_are_closed) {
    auto three = [] {
        std::vector<UniqueFd> fds;
        for (int i = 0; i < 3; i++) fds.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 100));
        return fds;
    };
    auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
    for (std::string_view text : {R"({"method":"io.systemd.UserDatabase.Double","parameters":{"x":1}})",
                                  R"({"method":"io.systemd.UserDatabase.Double","parameters":{"x":1},"oneway":true})",
                                  R"({"method":"io.systemd.UserDatabase.Double"})", R"({"method":"no.such.Method"})"}) {
        std::vector<UniqueFd> fds = three();
        std::vector<int> numbers;
        for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
        taken_.reset();
        call(text, std::move(fds));
        EXPECT_EQ(is_open(numbers[0]), taken_.get() == numbers[0]) << text;
        EXPECT_FALSE(is_open(numbers[1])) << text;
        EXPECT_FALSE(is_open(numbers[2])) << text;
    }
}

TEST(Fault, of_the_system) {
    EXPECT_EQ(
        serialize_fault(system_error(EIO)),
        std::string(R"({"error":"io.systemd.System","parameters":{"origin":"linux","errno":5,"errnoName":"EIO"}})") +
            '\0');
}

}  // namespace
}  // namespace nsr::varlink
