// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <array>

#include "base/sys.h"

namespace nsr::registry {

Result<UniqueFd> make_directory(BorrowedFd parent, const std::string& name) {
    Status made = sys::mkdir_at(parent, name, 0755);
    if (!made && made.error().code() != EEXIST) return std::unexpected(std::move(made).error());
    UniqueFd fd = TRY(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (made) TRY(sys::set_mode(fd.borrow(), 0755));
    return fd;
}

// getdents64(2) itself: readdir(3) would cost four more system calls for a directory of a few files.
Status visit_directory(BorrowedFd parent, const std::string& name,
                       const std::function<void(std::string_view name, uint64_t inode)>& visit) {
    UniqueFd fd = TRY(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    alignas(struct dirent64) std::array<char, 32768> buffer;
    for (;;) {
        ssize_t size = ::getdents64(fd.get(), buffer.data(), buffer.size());
        int code = errno;
        if (size < 0) return fail_errno(code, fmt::format("list {}", name));
        if (size == 0) return {};
        for (ssize_t at = 0; at < size;) {
            const auto* entry = reinterpret_cast<const struct dirent64*>(buffer.data() + at);
            std::string_view file = entry->d_name;
            if (file != "." && file != "..") visit(file, entry->d_ino);
            at += entry->d_reclen;
        }
    }
}

}  // namespace nsr::registry
