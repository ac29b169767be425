// SPDX-License-Identifier: LGPL-2.1-or-later
// System calls that a thread of the kernel's makes, with the credentials of whoever asked for them.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cstring>

#include "acl.h"
#include "io_uring.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

// IORING_OP_BIND, new in Linux 6.11.
constexpr uint8_t kBind = 56;

/// Who carries it out: the caller in io_uring_enter(2), a worker of the ring, or the ring's own polling thread.
struct Manner {
    const char* name;
    unsigned setup;
    uint8_t entry_flags;
};
constexpr Manner kManners[] = {{"", 0, 0}, {", worker", 0, IOSQE_ASYNC}, {", SQPOLL", IORING_SETUP_SQPOLL, 0}};

using Make = std::function<io_uring_sqe(const std::string& directory)>;

int run_one(Ring& ring, io_uring_sqe entry, uint8_t flags) {
    entry.flags = flags;
    const int result = ring.run(entry);
    return result >= 0 ? 0 : result == -EINVAL || result == -EOPNOTSUPP ? lacking(EINVAL) : -result;
}

Attempt by_ring(Stage& stage, const Manner& manner, const Make& make, const As& as) {
    return tried(stage.inside(as, [&] {
        Ring ring(manner.setup);
        if (ring.code() != 0) return lacking(ring.code());
        return run_one(ring, make(stage.dir()), manner.entry_flags);
    }));
}

struct Operation {
    const char* name;
    /// What the entry points at has to live on, so the texts are kept by the closure.
    std::function<Attempt(Stage&, const Manner&)> run;
};

Attempt creat_by(Stage& stage, const Manner& manner) {
    const std::string path = stage.path("f");
    return by_ring(stage, manner, [&](const std::string&) { return open_entry(path, O_CREAT | O_WRONLY); }, {});
}
Attempt mkdir_by(Stage& stage, const Manner& manner) {
    const std::string path = stage.path("d");
    return by_ring(stage, manner, [&](const std::string&) { return path_entry(IORING_OP_MKDIRAT, path, 0755); }, {});
}
Attempt symlink_by(Stage& stage, const Manner& manner) {
    const std::string target = "target", path = stage.path("s");
    return by_ring(stage, manner,
                   [&](const std::string&) { return two_paths_entry(IORING_OP_SYMLINKAT, target, path); }, {});
}
Attempt link_by(Stage& stage, const Manner& manner) {
    if (!stage.file("f", stage.start(), stage.start())) return went_wrong("no file");
    const std::string from = stage.path("f"), to = stage.path("l");
    return by_ring(stage, manner, [&](const std::string&) { return two_paths_entry(IORING_OP_LINKAT, from, to); }, {});
}
Attempt whiteout_by(Stage& stage, const Manner& manner) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    const std::string from = stage.path("f"), to = stage.path("g");
    return by_ring(stage, manner,
                   [&](const std::string&) {
                       io_uring_sqe entry = two_paths_entry(IORING_OP_RENAMEAT, from, to);
                       entry.rename_flags = RENAME_WHITEOUT;
                       return entry;
                   },
                   {});
}
Attempt acl_by(Stage& stage, const Manner& manner) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    const std::string path = stage.path("f"), name = "system.posix_acl_access", value = acl_for(kUserTag, 5);
    return by_ring(stage, manner,
                   [&](const std::string&) {
                       io_uring_sqe entry = two_paths_entry(IORING_OP_SETXATTR, name, value);
                       entry.fd = 0;
                       entry.addr3 = reinterpret_cast<uint64_t>(path.c_str());
                       entry.len = static_cast<unsigned>(value.size());
                       return entry;
                   },
                   {});
}
Attempt capability_by(Stage& stage, const Manner& manner) {
    if (!stage.file("f", kForeign, kForeign, 0755)) return went_wrong("no file");
    const UniqueFd fd(::open(stage.path("f").c_str(), O_RDONLY | O_CLOEXEC));
    const std::string name = "security.capability", value = capability();
    return by_ring(stage, manner,
                   [&](const std::string&) {
                       io_uring_sqe entry = two_paths_entry(IORING_OP_FSETXATTR, name, value);
                       entry.fd = fd.get();
                       entry.len = static_cast<unsigned>(value.size());
                       return entry;
                   },
                   {});
}
Attempt bind_by(Stage& stage, const Manner& manner) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const std::string path = stage.path("k");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return not_here("the path is too long");
    std::memcpy(address.sun_path, path.data(), path.size());
    return by_ring(stage, manner,
                   [&](const std::string&) {
                       io_uring_sqe entry{};
                       entry.opcode = kBind;
                       entry.fd = socket.get();
                       entry.addr = reinterpret_cast<uint64_t>(&address);
                       entry.addr2 = sizeof address;
                       return entry;
                   },
                   {});
}

/// A ring that was made inside, with the credentials from there, used by root outside.
Attempt lent_credentials(Stage& stage) {
    Ring ring(0);
    if (ring.code() != 0) return tried(lacking(ring.code()));
    // Above all errno values.
    constexpr int kFirstNumber = 10'000;
    const int code = stage.inside([&] {
        const int number = ring.lend_credentials();
        return number < 0 ? lacking(-number) : kFirstNumber + number;
    });
    if (code < kFirstNumber) return tried(code);
    const std::string path = stage.path("d");
    io_uring_sqe entry = path_entry(IORING_OP_MKDIRAT, path, 0755);
    entry.personality = static_cast<uint16_t>(code - kFirstNumber);
    return tried(run_one(ring, entry, 0));
}

Attempt foreign_creat(Stage& stage, const Manner& manner) {
    const std::string path = stage.path("f");
    return by_ring(stage, manner, [&](const std::string&) { return open_entry(path, O_CREAT | O_WRONLY); },
                   {.uid = kForeign, .gid = kForeign, .capable = true});
}

}  // namespace

void add_ring(Table& table) {
    static const Operation kOperations[] = {
        {"io_uring openat", creat_by},
        {"io_uring mkdirat", mkdir_by},
        {"io_uring symlinkat", symlink_by},
        {"io_uring linkat", link_by},
        {"io_uring RENAME_WHITEOUT", whiteout_by},
        {"io_uring setxattr of an ACL", acl_by},
        {"io_uring fsetxattr of a capability", capability_by},
        {"io_uring bind", bind_by},
    };
    for (const auto& operation : kOperations)
        for (const auto& manner : kManners)
            table.channel(std::string(operation.name) + manner.name, Where::kEach,
                          [&](Stage& stage) { return operation.run(stage, manner); });
    table.channel("io_uring, credentials lent to root outside", Where::kEach, lent_credentials);
    for (const auto& manner : kManners)
        table.control(std::string("io_uring openat, foreign ids") + manner.name, Where::kEach,
                      [&](Stage& stage) { return foreign_creat(stage, manner); });
}

}  // namespace nsr::channels
