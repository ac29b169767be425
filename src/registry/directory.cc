// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <memory>

#include "base/sys.h"

namespace nsr::registry {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};

}  // namespace

Result<UniqueFd> make_directory(BorrowedFd parent, const std::string& name) {
    Status made = sys::mkdir_at(parent, name, 0755);
    if (!made && made.error().code() != EEXIST) return std::unexpected(std::move(made).error());
    UniqueFd fd = TRY(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (made) TRY(sys::set_mode(fd.borrow(), 0755));
    return fd;
}

Status visit_directory(BorrowedFd parent, const std::string& name,
                       const std::function<void(std::string_view name, uint64_t inode)>& visit) {
    UniqueFd fd = TRY(sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
    if (!directory) {
        int code = errno;
        return fail_errno(code, fmt::format("list {}", name));
    }
    static_cast<void>(fd.release());
    for (;;) {
        errno = 0;
        const struct dirent* entry = ::readdir(directory.get());
        int code = errno;
        if (!entry && code != 0) return fail_errno(code, fmt::format("list {}", name));
        if (!entry) return {};
        std::string_view file = entry->d_name;
        if (file != "." && file != "..") visit(file, entry->d_ino);
    }
}

}  // namespace nsr::registry
