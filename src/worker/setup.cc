// SPDX-License-Identifier: LGPL-2.1-or-later
#include "worker/setup.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <charconv>
#include <csignal>
#include <string_view>

#include "pool/start.h"

namespace nsr::worker {

namespace {

std::vector<uint32_t> numbers_in(std::string_view list) {
    std::vector<uint32_t> numbers;
    for (size_t at = list.find(','); at != list.npos; at = list.find(',', at + 1)) {
        uint32_t number = 0;
        auto parsed = std::from_chars(list.data() + at + 1, list.data() + list.size(), number);
        if (parsed.ec == std::errc()) numbers.push_back(number);
    }
    return numbers;
}

}  // namespace

Result<Arguments> parse_arguments(int argc, char** argv) {
    if (argc != 6) return fail(EINVAL, "nsresourcework is started by nsresourced, not by hand");
    auto level = policy::level_from_string(argv[3]);
    const auto* log_level = log::level_from_string(argv[4]);
    if (!level || !log_level) return fail(EINVAL, "bad argument");
    bool has_entries = std::string_view(argv[5]).starts_with(pool::kWithEntries);
    return Arguments{argv[1], argv[2], *level, *log_level, has_entries, policy::MissedCalls(numbers_in(argv[5]))};
}

Status confine() {
    // A new manager must not find workers of the old one at work on the registry: they go down together.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return fail_errno(errno, "PR_SET_PDEATHSIG");
    // Processes that this one puts into a client's namespace share its memory; the client may have CAP_SYS_PTRACE
    // there. The kernel lets nobody without it in the initial namespace trace a process that is not dumpable.
    if (prctl(PR_SET_DUMPABLE, 0) < 0) return fail_errno(errno, "PR_SET_DUMPABLE");
    // The kernel policy knows the service's calls by it (policy/entries.h, is_asked()), however this was started.
    if (prctl(PR_SET_NAME, "nsresourcework") < 0) return fail_errno(errno, "PR_SET_NAME");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return fail_errno(errno, "ignore SIGPIPE");
    // Ctrl-C in a terminal goes to the whole process group; the manager decides when a worker ends.
    if (signal(SIGINT, SIG_IGN) == SIG_ERR) return fail_errno(errno, "ignore SIGINT");
    return {};
}

policy::Entries take_entries() {
    policy::Entries::Maps maps{UniqueFd(pool::kNamespacesFd), UniqueFd(pool::kOwnersFd), UniqueFd(pool::kCgroupsFd),
                               UniqueFd(pool::kMissedFd), UniqueFd(pool::kBeatsFd)};
    for (int fd : {pool::kNamespacesFd, pool::kOwnersFd, pool::kCgroupsFd, pool::kMissedFd, pool::kBeatsFd})
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return policy::Entries(std::move(maps), policy::Entries::Scope::kAll);
}

Result<service::Context> open_context(const Arguments& arguments, const pool::Channel& channel,
                                      const pool::Slot& slot) {
    policy::Entries entries;
    if (arguments.has_entries) entries = take_entries();
    auto context =
        TRY(service::Context::open(arguments.runtime_dir, arguments.state_dir, arguments.level, std::move(entries)));
    context.missed_calls = arguments.missed_calls;
    context.announce = [&channel](const NsIdentity& identity, Uid owner) {
        pool::Message message;
        message.type = pool::MessageType::kRegistered;
        message.namespaces = {identity};
        message.owner = owner;
        return channel.send(message);
    };
    context.keep_mount = [&channel, &slot](const NsIdentity& identity, UniqueFd mount) -> Status {
        if (slot.mounts() == pool::Slot::Mounts::kRefused) {
            log::warning("A mount of user namespace {} is not kept: there are too many", identity.inode);
            return {};
        }
        pool::Message message;
        message.type = pool::MessageType::kKeepMount;
        message.namespaces = {identity};
        message.fd = std::move(mount);
        return channel.send(message);
    };
    return context;
}

}  // namespace nsr::worker
