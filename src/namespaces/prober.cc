// SPDX-License-Identifier: LGPL-2.1-or-later
#include "namespaces/prober.h"

#include <fcntl.h>
#include <sched.h>
#include <cstring>

#include "base/log.h"
#include "base/shortage.h"
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

/// Between two attempts at making the reference.
constexpr uint64_t kRetryUsec = 1'000'000;

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

Result<HandleBuffer> handle_of(const UserNamespace& userns) {
    HandleBuffer given{};
    given.get()->handle_bytes = sizeof(NsfsHandle);
    int mount_id = 0;
    int result = name_to_handle_at(userns.fd().get(), "", given.get(), &mount_id, AT_EMPTY_PATH);
    int code = errno;
    if (result < 0) return fail_errno(code, "file handle of a user namespace");
    return given;
}

// The layout is checked against the kernel's answer for a namespace that certainly lives.
bool knows_handles(const UserNamespace& own) {
    if (own.identity().id.value == 0) return false;
    auto given = retry_shortage([&] { return handle_of(own); });
    if (!given && is_shortage(given.error().code()))
        log::warning(
            "Deaths of user namespaces are not looked for by file handles until the next start, so that some "
            "registrations may outlast their namespaces: {}",
            given.error().what());
    HandleBuffer expected = make_handle(own.identity());
    return given && memcmp(expected.bytes, given->bytes, sizeof given->bytes) == 0;
}

}  // namespace

Result<Prober> Prober::create(OpenByHandle open_by_handle) {
    if (!open_by_handle) open_by_handle = open_by_handle_at;
    auto own = TRY(retry_shortage([] { return UserNamespace::own(); }));
    if (!knows_handles(own)) return Prober(UniqueFd(), std::move(open_by_handle));
    Prober prober(TRY(retry_shortage([] { return sys::own_user_namespace(); })), std::move(open_by_handle));
    if (auto verified = prober.verify(); !verified) log::debug("{}", verified.error().what());
    return prober;
}

Result<UniqueFd> Prober::look_up(const NsIdentity& identity) const {
    HandleBuffer handle = make_handle(identity);
    UniqueFd fd(open_by_handle_(nsfs_.get(), handle.get(), O_RDONLY | O_CLOEXEC));
    int code = errno;
    if (!fd) return fail_errno(code, "open user namespace by handle");
    return fd;
}

Status Prober::verify() const {
    if (!nsfs_) return fail(ENOTSUP, "no file handles of namespaces on this kernel");
    if (!control_->reference) {
        uint64_t now = sys::now_usec();
        if (now < control_->not_before_usec) return fail(EAGAIN, "there is no user namespace to compare with");
        control_->not_before_usec = now + kRetryUsec;
        control_->reference = TRY_WITHIN("make a user namespace to compare with", Reference::create());
    }
    TRY_WITHIN("a user namespace that lives is not found", look_up(control_->reference->identity()));
    return {};
}

bool Prober::is_proven_dead(const NsIdentity& identity) const {
    if (!verify()) return false;
    auto again = look_up(identity);
    return !again && again.error().code() == ESTALE;
}

Life Prober::probe(const NsIdentity& identity) const {
    if (!nsfs_ || identity.id.value == 0) return Life::kUnknown;
    auto found = look_up(identity);
    if (found) return Life::kAlive;
    return found.error().code() == ESTALE && is_proven_dead(identity) ? Life::kDead : Life::kUnknown;
}

Result<std::optional<UserNamespace>> Prober::open(const NsIdentity& identity) const {
    if (!nsfs_ || identity.id.value == 0) return fail(ENOTSUP, "no file handles of namespaces on this kernel");
    auto found = look_up(identity);
    if (found) return std::optional(TRY(UserNamespace::from_descriptor(std::move(*found))));
    if (found.error().code() != ESTALE) return Failure(std::move(found).error());
    if (!is_proven_dead(identity)) return fail(EAGAIN, "the kernel cannot tell whether the user namespace lives");
    return std::optional<UserNamespace>();
}

}  // namespace nsr::namespaces
