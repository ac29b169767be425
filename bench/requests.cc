// SPDX-License-Identifier: LGPL-2.1-or-later
#include "requests.h"

#include <fmt/format.h>

namespace nsr::bench {

namespace {

std::string call(std::string_view method, std::string_view parameters) {
    std::string text =
        fmt::format(R"({{"method":"io.systemd.{}","parameters":{{{}}},"more":true}})", method, parameters);
    text.push_back('\0');
    return text;
}

constexpr char kService[] = R"("service":"io.systemd.NamespaceResource")";

}  // namespace

std::string allocate_request() {
    static unsigned number = 0;
    std::string text = fmt::format(
        R"({{"method":"io.systemd.NamespaceResource.AllocateUserRange","parameters":{{"name":"bench{}","size":65536,)"
        R"("userNamespaceFileDescriptor":0}}}})",
        number++);
    text.push_back('\0');
    return text;
}

std::string namespace_call(std::string_view method, std::string_view parameters) {
    return fmt::format(
               R"({{"method":"io.systemd.NamespaceResource.{}","parameters":{{"userNamespaceFileDescriptor":0,{}}}}})",
               method, parameters) +
           '\0';
}

std::string user_record_request(Uid uid) {
    return call("UserDatabase.GetUserRecord", fmt::format(R"("uid":{},{})", uid, kService));
}

std::string memberships_request() {
    return call("UserDatabase.GetMemberships", fmt::format(R"("userName":"root",{})", kService));
}

std::string first_user_request(const std::string& full_name) {
    return call("UserDatabase.GetUserRecord", fmt::format(R"("userName":"ns-{}-0",{})", full_name, kService));
}

}  // namespace nsr::bench
