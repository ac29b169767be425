// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/parcel.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <cerrno>

#include "base/sys.h"
#include "varlink/ancillary.h"

namespace nsr::worker {

namespace {

Result<UniqueFd> write_text(const std::string& text) {
    UniqueFd memory(memfd_create("nsresource-unfinished", MFD_CLOEXEC));
    if (!memory) return fail_errno(errno, "memfd_create");
    TRY(sys::write_at(memory.borrow(), text, 0));
    return memory;
}

Status put(BorrowedFd socket, std::span<const UniqueFd> fds) {
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    varlink::FdBuffer buffer;
    buffer.attach(message, fds);
    if (sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return fail_errno(errno, "fill a parcel");
    return {};
}

Result<std::vector<UniqueFd>> take(BorrowedFd socket) {
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    varlink::FdBuffer buffer;
    buffer.prepare(message);
    ssize_t n = recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int code = errno;
    if (n < 0) return fail_errno(code, "open a parcel");
    auto fds = varlink::own_fds(message);
    if (message.msg_flags & MSG_CTRUNC) return fail(EMFILE, "not all descriptors of a parcel could be received");
    return fds;
}

}  // namespace

Result<UniqueFd> make_parcel(Unfinished unfinished) {
    std::vector<UniqueFd> text;
    text.push_back(TRY(write_text(unfinished.text)));
    auto pair = TRY(sys::socket_pair(SOCK_SEQPACKET));
    TRY(put(pair.first.borrow(), text));
    if (!unfinished.fds.empty()) TRY(put(pair.first.borrow(), unfinished.fds));
    return std::move(pair.second);
}

Result<Unfinished> open_parcel(BorrowedFd parcel) {
    auto text = TRY(take(parcel));
    if (text.size() != 1) return fail(EBADMSG, "a parcel without a text");
    Unfinished unfinished;
    struct stat st = TRY(sys::stat_fd(text.front().borrow()));
    unfinished.text.resize(static_cast<size_t>(st.st_size));
    TRY(sys::read_at(text.front().borrow(), unfinished.text, 0));
    auto fds = take(parcel);
    // Without descriptors there is no second packet. The sending end is closed, so that none can come.
    if (fds) unfinished.fds = *std::move(fds);
    return unfinished;
}

}  // namespace nsr::worker
