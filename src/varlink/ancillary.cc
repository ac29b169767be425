// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/ancillary.h"

#include <cstring>

namespace nsr::varlink {

void FdBuffer::attach(msghdr& message, std::span<const UniqueFd> fds) {
    if (fds.empty()) return;
    message.msg_control = bytes_;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    std::memset(bytes_, 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    for (size_t i = 0; i < fds.size(); i++) {
        int fd = fds[i].get();
        std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
    }
}

void FdBuffer::prepare(msghdr& message) {
    message.msg_control = bytes_;
    message.msg_controllen = sizeof bytes_;
}

std::vector<UniqueFd> own_fds(msghdr& message) {
    std::vector<UniqueFd> fds;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        fds.reserve(fds.size() + count);
        for (size_t i = 0; i < count; i++) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            fds.emplace_back(fd);
        }
    }
    return fds;
}

}  // namespace nsr::varlink
