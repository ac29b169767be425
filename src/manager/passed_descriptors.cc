// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/passed_descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <charconv>
#include <cstdlib>

#include "base/log.h"
#include "manager/mount_pins.h"

namespace nsr::manager {

namespace {

std::optional<NsInode> stored_namespace(std::string_view name) {
    if (!name.starts_with(MountPins::kStorePrefix)) return std::nullopt;
    name.remove_prefix(MountPins::kStorePrefix.size());
    uint64_t inode = 0;
    auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), inode);
    if (code != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return NsInode(inode);
}

Status prepare(BorrowedFd socket) {
    if (fcntl(socket.get(), F_SETFL, O_RDWR | O_NONBLOCK) < 0) return fail_errno(errno, "O_NONBLOCK");
    // Accepted sockets inherit it, and credentials among the control data would hide at which byte descriptors came.
    int no = 0;
    if (setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &no, sizeof no) < 0) return fail_errno(errno, "SO_PASSCRED");
    return {};
}

Status sort_in(PassedDescriptors& passed, UniqueFd fd, const std::string& name) {
    if (sd_is_socket_unix(fd.get(), SOCK_STREAM, 1, nullptr, 0) > 0) {
        if (passed.listening) return fail(EINVAL, "more than one listening socket was passed");
        passed.listening = std::move(fd);
        return prepare(passed.listening.borrow());
    }
    if (auto inode = stored_namespace(name))
        passed.mounts.emplace_back(*inode, std::move(fd));
    else
        log::warning("Closing descriptor '{}' of the service manager: nothing is known about it", name);
    return {};
}

}  // namespace

Result<PassedDescriptors> take_passed_descriptors() {
    char** names = nullptr;
    int count = sd_listen_fds_with_names(1, &names);
    if (count < 0) return fail_errno(-count, "descriptors of the service manager");
    PassedDescriptors passed;
    Status sorted;
    for (int i = 0; i < count; ++i) {
        Status one = sort_in(passed, UniqueFd(SD_LISTEN_FDS_START + i), names[i]);
        free(names[i]);
        if (!one && sorted) sorted = std::move(one);
    }
    free(names);
    if (!sorted) return Failure(std::move(sorted).error());
    return passed;
}

}  // namespace nsr::manager
