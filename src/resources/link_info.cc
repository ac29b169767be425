// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/link_info.h"

#include <algorithm>

namespace nsr::resources {

namespace {

std::optional<std::string> text_of(const struct nlattr* attribute) {
    if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0) return std::nullopt;
    return mnl_attr_get_str(attribute);
}

int take_kind(const struct nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        static_cast<LinkInfo*>(data)->kind = text_of(attribute).value_or("");
    return MNL_CB_OK;
}

int take_alternative(const struct nlattr* attribute, void* data) {
    auto name = text_of(attribute);
    if (mnl_attr_get_type(attribute) == IFLA_ALT_IFNAME && name)
        static_cast<LinkInfo*>(data)->alternative_names.push_back(std::move(*name));
    return MNL_CB_OK;
}

int take_attribute(const struct nlattr* attribute, void* data) {
    auto& link = *static_cast<LinkInfo*>(data);
    switch (mnl_attr_get_type(attribute)) {
        case IFLA_IFNAME:
            link.name = text_of(attribute).value_or("");
            break;
        case IFLA_ADDRESS:
            if (mnl_attr_get_payload_len(attribute) == sizeof(MacAddress))
                std::ranges::copy_n(static_cast<const uint8_t*>(mnl_attr_get_payload(attribute)), sizeof(MacAddress),
                                    link.mac.emplace().begin());
            break;
        case IFLA_LINKINFO:
            return mnl_attr_parse_nested(attribute, take_kind, data);
        case IFLA_PROP_LIST:
            return mnl_attr_parse_nested(attribute, take_alternative, data);
        default:
            break;
    }
    return MNL_CB_OK;
}

int take_link(const struct nlmsghdr* header, void* data) {
    if (header->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(header) < sizeof(struct ifinfomsg))
        return MNL_CB_OK;
    auto& link = *static_cast<LinkInfo*>(data);
    link.index = static_cast<const struct ifinfomsg*>(mnl_nlmsg_get_payload(header))->ifi_index;
    return mnl_attr_parse(header, sizeof(struct ifinfomsg), take_attribute, data);
}

}  // namespace

Result<std::optional<LinkInfo>> find_link(RouteSocket& socket, const std::string& name) {
    LinkRequest request(RTM_GETLINK, 0);
    request.put(IFLA_IFNAME, name);
    LinkInfo link;
    Status asked = socket.ask(request, take_link, &link);
    if (!asked && asked.error().code() == ENODEV) return std::optional<LinkInfo>();
    if (!asked) return Failure(std::move(asked).error());
    // The kernel looks among alternative names too.
    if (link.index <= 0 || link.name != name) return std::optional<LinkInfo>();
    return std::optional(std::move(link));
}

}  // namespace nsr::resources
