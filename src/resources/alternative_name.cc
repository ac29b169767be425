// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/alternative_name.h"

namespace nsr::resources {

namespace {

constexpr size_t kMaxLength = 127;  // ALTIFNAMSIZ, with its NUL

Status add_name(RouteSocket& socket, const std::string& link, const std::string& alternative) {
    if (alternative.empty() || alternative.size() > kMaxLength) return fail(EINVAL, "unfit alternative name");
    LinkRequest request(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND);
    request.put(IFLA_IFNAME, link);
    request.nest(IFLA_PROP_LIST | NLA_F_NESTED, [&] { request.put(IFLA_ALT_IFNAME, alternative); });
    TRY_WITHIN(fmt::format("name link {} {}", link, alternative), socket.ask(request));
    return {};
}

}  // namespace

Status set_alternative_name(RouteSocket& socket, const std::string& link, const std::string& alternative,
                            const std::string& second) {
    Status named = add_name(socket, link, alternative);
    if (named || named.error().code() != EEXIST) return named;
    return add_name(socket, link, alternative + "-" + second);
}

}  // namespace nsr::resources
