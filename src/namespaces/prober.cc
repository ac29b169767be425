// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/prober.h"

#include <fcntl.h>
#include <sched.h>
#include <cstring>

#include "base/sys.h"
#include "namespaces/user_namespace.h"

namespace nsr::namespaces {

namespace {

// The kernel's struct nsfs_file_handle (include/uapi/linux/nsfs.h of Linux 6.18), and the type that goes with it.
struct NsfsHandle {
    uint64_t id;
    uint32_t type;
    uint32_t inode;
};
constexpr int kNsfsHandleType = 0xf1;

struct HandleBuffer {
    alignas(struct file_handle) unsigned char bytes[sizeof(struct file_handle) + sizeof(NsfsHandle)];
    struct file_handle* get() { return reinterpret_cast<struct file_handle*>(bytes); }
};

HandleBuffer make_handle(const NsIdentity& identity) {
    HandleBuffer buffer{};
    NsfsHandle handle{identity.id.value, CLONE_NEWUSER, static_cast<uint32_t>(identity.inode.value)};
    buffer.get()->handle_bytes = sizeof handle;
    buffer.get()->handle_type = kNsfsHandleType;
    memcpy(buffer.bytes + sizeof(struct file_handle), &handle, sizeof handle);
    return buffer;
}

}  // namespace

Result<Prober> Prober::create() {
    auto own = TRY(UserNamespace::own());
    HandleBuffer expected = make_handle(own.identity());
    HandleBuffer given{};
    given.get()->handle_bytes = sizeof(NsfsHandle);
    int mount_id = 0;
    // The layout is checked against the kernel's word for the one namespace that certainly lives.
    bool known = own.identity().id.value != 0 &&
                 name_to_handle_at(own.fd().get(), "", given.get(), &mount_id, AT_EMPTY_PATH) == 0 &&
                 memcmp(expected.bytes, given.bytes, sizeof given.bytes) == 0;
    if (!known) return Prober(UniqueFd());
    Prober prober(TRY(sys::own_user_namespace()));
    if (prober.probe(own.identity()) != Life::kAlive) return Prober(UniqueFd());  // e.g. CAP_DAC_READ_SEARCH is missing
    return prober;
}

Life Prober::probe(const NsIdentity& identity) const {
    if (!nsfs_ || identity.id.value == 0) return Life::kUnknown;
    HandleBuffer handle = make_handle(identity);
    UniqueFd fd(open_by_handle_at(nsfs_.get(), handle.get(), O_RDONLY | O_CLOEXEC));
    if (fd) return Life::kAlive;
    return errno == ESTALE ? Life::kDead : Life::kUnknown;
}

Result<std::optional<UserNamespace>> Prober::open(const NsIdentity& identity) const {
    if (!nsfs_ || identity.id.value == 0) return fail(ENOTSUP, "no file handles of namespaces on this kernel");
    HandleBuffer handle = make_handle(identity);
    UniqueFd fd(open_by_handle_at(nsfs_.get(), handle.get(), O_RDONLY | O_CLOEXEC));
    int code = errno;
    if (!fd && code == ESTALE) return std::optional<UserNamespace>();
    if (!fd) return fail_errno(code, "open user namespace by handle");
    return std::optional(TRY(UserNamespace::from_descriptor(std::move(fd))));
}

}  // namespace nsr::namespaces
