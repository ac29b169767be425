// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/new_record.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/sys.h"
#include "registry/file_name.h"

namespace nsr::registry {

namespace {

constexpr mode_t kMode = 0644;

bool has_no_unnamed_files(int code) { return code == EOPNOTSUPP || code == EISDIR || code == ENOENT; }

// One of an earlier process of this id, which was killed, may be there.
Result<UniqueFd> open_named(BorrowedFd dir, const std::string& name) {
    static_cast<void>(sys::unlink_at(dir, name));
    return sys::open_at(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, kMode);
}

}  // namespace

Result<NewRecord> NewRecord::make(BorrowedFd dir) {
    std::string name;
    auto fd = sys::open_at(dir, ".", O_WRONLY | O_TMPFILE, kMode);
    if (!fd && has_no_unnamed_files(fd.error().code())) {
        name = new_content_file(getpid());
        fd = open_named(dir, name);
    }
    if (!fd) return Failure(std::move(fd).error());
    NewRecord made(dir, *std::move(fd), std::move(name));
    TRY(sys::set_mode(made.fd_.borrow(), kMode));
    return made;
}

NewRecord::~NewRecord() {
    if (!name_.empty()) unlinkat(dir_.get(), name_.c_str(), 0);
}

Status NewRecord::write(std::string_view text) const { return sys::write_at(fd_.borrow(), text, 0); }

// By the descriptor alone that needs CAP_DAC_READ_SEARCH in the initial user namespace (linkat(2)), which root in a
// container lacks.
Status NewRecord::link_to(BorrowedFd dir, const std::string& path) const {
    if (linkat(fd_.get(), "", dir.get(), path.c_str(), AT_EMPTY_PATH) == 0) return {};
    int code = errno;
    if (code != ENOENT) return fail_errno(code, path);
    std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (linkat(AT_FDCWD, self.c_str(), dir.get(), path.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    code = errno;
    return fail_errno(code, path);
}

}  // namespace nsr::registry
