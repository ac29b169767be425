// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "authority/bus.h"
#include "authority/process.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

/// Whether the administrator's rules in polkit allow a call (interface.md sections 2 and 6).
namespace nsr::authority {

/// An action of polkit/io.systemd.namespace-resource.policy.
struct Action {
    const char* id;
};
/// Each of these two implies the other, by the action file: polkit refuses one only where it refuses both.
inline constexpr Action kAllocateUserNamespace{"io.systemd.namespace-resource.allocate-user-namespace"};
inline constexpr Action kRegisterUserNamespace{"io.systemd.namespace-resource.register-user-namespace"};
inline constexpr Action kDelegateMount{"io.systemd.namespace-resource.delegate-mount"};
inline constexpr Action kDelegateControlGroup{"io.systemd.namespace-resource.delegate-cgroup"};
inline constexpr Action kDelegateNetworkInterface{"io.systemd.namespace-resource.delegate-network-interface"};

/// The other end of a connection: its socket, and what SO_PEERCRED says of it.
struct Caller {
    BorrowedFd socket;
    pid_t pid = 0;
    Uid uid;
};

/// What rules may look at, and a dialog may show: `name` or `type` (interface.md section 6), and its value.
struct Detail {
    const char* key;
    std::string value;
};

enum class Verdict { kAllowed, kDenied };

/// How long a caller is to wait for polkit. The first one after a boot waits until the bus and polkit have started,
/// which takes more than five seconds on a slow machine.
inline constexpr uint64_t kPatienceUsec = 15'000'000;

/// Asks polkit over the system bus ($DBUS_SYSTEM_BUS_ADDRESS, else the usual address). The connection is made when it
/// is first needed, kept, and made anew when it broke. For one thread, and never to be asked with the registry lock
/// held.
class Authority {
public:
    /// Whether the caller may do this. Waits until `deadline_usec` (sys::now_usec) at most, connecting included; never
    /// has a person asked for a password, since no caller of our interface can say that it wants that.
    ///
    /// Allowed without a question: root, as in polkit itself, whose rules never see root either; and everybody, where
    /// nobody listens at the bus address, or polkit is neither on the bus nor can be started by it. Denied: by a rule;
    /// where somebody would have to authenticate; when the caller exits before the answer is there.
    ///
    /// An error means that polkit is there and gave no answer, so the call must not be allowed: ETIMEDOUT; EIO for a
    /// broken or refusing polkit (an action that it does not know, too); ERANGE for a uid that it cannot express;
    /// EINVAL for a detail with a NUL byte; others from connecting to the bus.
    Result<Verdict> check(const Caller& caller, Action action, std::span<const Detail> details, uint64_t deadline_usec);

private:
    enum class Presence { kThere, kNone };
    enum class PidFd { kSent, kLeftOut };

    Result<Presence> connect(uint64_t deadline_usec);
    Result<Message> question(const Process& process, Uid uid, Action action, std::span<const Detail> details,
                             PidFd pidfd) const;
    Result<Verdict> ask(const Process& process, Uid uid, Action action, std::span<const Detail> details,
                        uint64_t deadline_usec);

    std::optional<Bus> bus_;
};

}  // namespace nsr::authority
