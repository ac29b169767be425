// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace nsr::resources {

/// One rtnetlink(7) request about a link, put together piece by piece. It has room for what this program ever puts in
/// (four names of at most 127 characters); whoever calls checks the lengths.
class LinkRequest {
public:
    LinkRequest(uint16_t type, uint16_t flags, int32_t index = 0);
    ~LinkRequest() = default;
    LinkRequest(const LinkRequest&) = delete;
    LinkRequest& operator=(const LinkRequest&) = delete;

    void put(uint16_t attribute, const std::string& text) { mnl_attr_put_strz(header_, attribute, text.c_str()); }
    void put(uint16_t attribute, uint32_t number) { mnl_attr_put_u32(header_, attribute, number); }
    void put(uint16_t attribute, const std::array<uint8_t, 6>& mac) {
        mnl_attr_put(header_, attribute, mac.size(), mac.data());
    }
    /// Puts what `fill` puts into an attribute of attributes.
    template <class Fill>
    void nest(uint16_t attribute, Fill fill) {
        struct nlattr* start = mnl_attr_nest_start(header_, attribute);
        fill();
        mnl_attr_nest_end(header_, start);
    }
    /// The link that following attributes are about, where they need that said once more (VETH_INFO_PEER).
    void put_link_header() { mnl_nlmsg_put_extra_header(header_, sizeof(struct ifinfomsg)); }

    struct nlmsghdr* header() const { return header_; }

private:
    alignas(struct nlmsghdr) std::array<char, 2048> buffer_{};
    struct nlmsghdr* header_;
};

/// A socket to the kernel's rtnetlink of this process's network namespace.
class RouteSocket {
public:
    static Result<RouteSocket> open();

    /// Sends the request, and gives each message that comes in answer to `callback`. Errors: what the kernel says;
    /// ETIMEDOUT after two seconds of silence.
    Status ask(const LinkRequest& request, mnl_cb_t callback = nullptr, void* data = nullptr);

private:
    struct Close {
        void operator()(struct mnl_socket* socket) const { mnl_socket_close(socket); }
    };
    using Handle = std::unique_ptr<struct mnl_socket, Close>;
    explicit RouteSocket(Handle socket) : socket_(std::move(socket)) {}

    Handle socket_;
    uint32_t sequence_ = 0;
};

}  // namespace nsr::resources
