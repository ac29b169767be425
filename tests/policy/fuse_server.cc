// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fuse_server.h"

#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <vector>

namespace nsr::channels {

namespace {

constexpr size_t kRequestSize = 1 << 17;
constexpr uint32_t kMode = S_IFDIR | S_ISGID | 0777;

fuse_attr attributes(uint64_t inode, uint32_t uid, uint32_t gid) {
    fuse_attr attr{};
    attr.ino = inode;
    attr.mode = kMode;
    attr.nlink = 2;
    attr.uid = uid;
    attr.gid = gid;
    return attr;
}

template <class Body>
void answer(const UniqueFd& device, const fuse_in_header& request, Body body) {
    fuse_out_header header{};
    header.len = sizeof header + sizeof body;
    header.unique = request.unique;
    iovec parts[2] = {{&header, sizeof header}, {&body, sizeof body}};
    if (::writev(device.get(), parts, 2) < 0) ::_exit(1);
}

void refuse(const UniqueFd& device, const fuse_in_header& request, int code) {
    fuse_out_header header{};
    header.len = sizeof header;
    header.error = -code;
    header.unique = request.unique;
    if (::write(device.get(), &header, sizeof header) < 0) ::_exit(1);
}

void agree(const UniqueFd& device, const fuse_in_header& request) {
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = 31;
    out.max_write = 4096;
    answer(device, request, out);
}

void describe(const UniqueFd& device, const fuse_in_header& request) {
    fuse_attr_out out{};
    out.attr = attributes(request.nodeid, 0, 0);
    answer(device, request, out);
}

void say_it_was_made(const UniqueFd& device, const fuse_in_header& request) {
    fuse_entry_out out{};
    out.nodeid = 2;
    out.attr = attributes(out.nodeid, request.uid, request.gid);
    answer(device, request, out);
}

}  // namespace

int mount_fuse(const UniqueFd& device, const std::string& at) {
    const std::string options =
        "fd=" + std::to_string(device.get()) + ",rootmode=42777,user_id=0,group_id=0,allow_other";
    return ::mount("channels", at.c_str(), "fuse", 0, options.c_str()) < 0 ? errno : 0;
}

uint32_t serve_fuse(const UniqueFd& device) {
    std::vector<char> buffer(kRequestSize);
    for (;;) {
        if (::read(device.get(), buffer.data(), buffer.size()) < 0) ::_exit(1);
        fuse_in_header request{};
        std::memcpy(&request, buffer.data(), sizeof request);
        switch (request.opcode) {
            case FUSE_INIT:
                agree(device, request);
                break;
            case FUSE_GETATTR:
                describe(device, request);
                break;
            case FUSE_MKDIR:
                say_it_was_made(device, request);
                return request.gid;
            case FUSE_FORGET:
            case FUSE_BATCH_FORGET:
            case FUSE_INTERRUPT:
                break;
            default:
                refuse(device, request, request.opcode == FUSE_LOOKUP ? ENOENT : ENOSYS);
        }
    }
}

}  // namespace nsr::channels
