// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/change_watch.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <array>
#include <cstring>
#include <set>

#ifndef FAN_REPORT_TARGET_FID  // Linux 5.17; not in each C library
#define FAN_REPORT_TARGET_FID 0x00001000
#endif

namespace nsr::reclaim {

namespace {

constexpr size_t kMaxHandle = 128;  // MAX_HANDLE_SZ

struct HandleBuffer {
    alignas(struct file_handle) std::array<char, sizeof(struct file_handle) + kMaxHandle> bytes{};
    struct file_handle* get() { return reinterpret_cast<struct file_handle*>(bytes.data()); }
};

Status require_handles(BorrowedFd root) {
    HandleBuffer buffer;
    buffer.get()->handle_bytes = kMaxHandle;
    int mount = 0;
    if (::name_to_handle_at(root.get(), "", buffer.get(), &mount, AT_EMPTY_PATH) < 0)
        return fail_errno(errno, "no file handles");
    UniqueFd again(::open_by_handle_at(root.get(), buffer.get(), O_PATH | O_CLOEXEC));
    if (!again) return fail_errno(errno, "file handles cannot be opened");
    return {};
}

// The record about the object itself; there is another one about the directory and the name.
void add_target(std::string_view record, std::set<ChangeWatch::Handle>& handles) {
    struct fanotify_event_info_fid info;
    if (record.size() < sizeof info + sizeof(struct file_handle)) return;
    memcpy(&info, record.data(), sizeof info);
    if (info.hdr.info_type != FAN_EVENT_INFO_TYPE_FID) return;
    record.remove_prefix(sizeof info);
    struct file_handle handle;
    memcpy(&handle, record.data(), sizeof handle);
    if (handle.handle_bytes > kMaxHandle || sizeof handle + handle.handle_bytes > record.size()) return;
    handles.emplace(record.substr(0, sizeof handle + handle.handle_bytes));
}

}  // namespace

Result<ChangeWatch> ChangeWatch::open(BorrowedFd root) {
    TRY(require_handles(root));
    constexpr unsigned kFlags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE |
                                FAN_UNLIMITED_MARKS | FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME |
                                FAN_REPORT_TARGET_FID;
    UniqueFd fd(::fanotify_init(kFlags, O_RDONLY));
    if (!fd) return fail_errno(errno, "fanotify_init");
    if (::fanotify_mark(fd.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CREATE | FAN_MOVED_TO | FAN_ONDIR, root.get(),
                        nullptr) < 0)
        return fail_errno(errno, "fanotify_mark");
    return ChangeWatch(std::move(fd));
}

Result<std::vector<ChangeWatch::Handle>> ChangeWatch::take() {
    std::set<Handle> handles;
    alignas(struct fanotify_event_metadata) std::array<char, 65536> buffer;
    for (;;) {
        ssize_t size = ::read(fd_.get(), buffer.data(), buffer.size());
        int code = errno;
        if (size < 0 && code == EAGAIN) return std::vector<Handle>(handles.begin(), handles.end());
        if (size < 0) return fail_errno(code, "read changes");
        std::string_view rest(buffer.data(), static_cast<size_t>(size));
        struct fanotify_event_metadata event;
        while (rest.size() >= sizeof event) {
            memcpy(&event, rest.data(), sizeof event);
            if (event.vers != FANOTIFY_METADATA_VERSION || event.event_len < sizeof event ||
                event.event_len > rest.size())
                return fail(EBADMSG, "changes of an unknown format");
            if ((event.mask & FAN_Q_OVERFLOW) != 0) return fail(EOVERFLOW, "more changes than the kernel can keep");
            std::string_view records = rest.substr(event.metadata_len, event.event_len - event.metadata_len);
            struct fanotify_event_info_header header;
            while (records.size() >= sizeof header) {
                memcpy(&header, records.data(), sizeof header);
                if (header.len < sizeof header || header.len > records.size()) break;
                add_target(records.substr(0, header.len), handles);
                records.remove_prefix(header.len);
            }
            rest.remove_prefix(event.event_len);
        }
    }
}

Result<UniqueFd> open_handle(BorrowedFd root, const ChangeWatch::Handle& handle, int flags) {
    HandleBuffer buffer;
    if (handle.size() > buffer.bytes.size()) return fail(EINVAL, "a file handle that is too long");
    memcpy(buffer.bytes.data(), handle.data(), handle.size());
    UniqueFd fd(::open_by_handle_at(root.get(), buffer.get(), flags | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "open a file handle");
    return fd;
}

}  // namespace nsr::reclaim
