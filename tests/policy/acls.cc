// SPDX-License-Identifier: LGPL-2.1-or-later
// Access control lists on files that were there before.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr const char* kAccess = "system.posix_acl_access";
constexpr const char* kDefault = "system.posix_acl_default";
// New in Linux 6.13, newer than the C library's headers.
constexpr long kSetxattrat = 463;

struct XattrArguments {
    uint64_t value;
    uint32_t size, flags;
};

/// How an extended attribute is set; 0, an errno value, or lacking().
using Setter = int (*)(const std::string& path, const char* name, const std::string& value);

int by_path(const std::string& path, const char* name, const std::string& value) {
    return set_acl(path, name, value, 0);
}
int by_descriptor(const std::string& path, const char* name, const std::string& value) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return code_of(::fsetxattr(fd.get(), name, value.data(), value.size(), 0));
}
int by_proc(const std::string& path, const char* name, const std::string& value) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
    return code_of(::setxattr(link.c_str(), name, value.data(), value.size(), 0));
}
int by_setxattrat(const std::string& path, const char* name, const std::string& value) {
    const XattrArguments arguments{reinterpret_cast<uint64_t>(value.data()), static_cast<uint32_t>(value.size()), 0};
    const long result = ::syscall(kSetxattrat, AT_FDCWD, path.c_str(), 0, name, &arguments, sizeof arguments);
    return result < 0 && errno == ENOSYS ? lacking(ENOSYS) : code_of(result);
}

Attempt on_file(Stage& stage, Setter set, const std::string& acl) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    return tried(stage.inside([&] { return set(stage.path("f"), kAccess, acl); }));
}

/// More entries than the file system has room for are its affair.
Attempt long_one(Stage& stage, uint32_t count, uint32_t last) {
    return on_file(
        stage,
        [](const std::string& path, const char* name, const std::string& value) {
            const int code = by_path(path, name, value);
            return code == ENOSPC || code == E2BIG || code == ERANGE ? lacking(code) : code;
        },
        long_acl(kForeign, count, last));
}

Attempt on_directory(Stage& stage, const std::string& acl) {
    if (!stage.directory("d", kForeign, kForeign)) return went_wrong("no directory");
    return tried(stage.inside([&] { return by_path(stage.path("d"), kDefault, acl); }));
}

/// An entry that the host wrote: to take it away is no way to leave one.
Attempt taken_away(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    if (const int code = set_acl(stage.path("f"), kAccess, acl_for(kUserTag, stage.start()), 0); code != 0)
        return code < 0 ? tried(code) : went_wrong("no ACL");
    return tried(stage.inside([&] { return code_of(::removexattr(stage.path("f").c_str(), kAccess)); }));
}

Attempt in_self(Stage& stage) {
    if (!stage.file("f", 1000, 1000)) return went_wrong("no file");
    return tried(inside(stage.self(), {},
                        [&] { return by_path(stage.path("f"), kAccess, acl_for(kUserTag, stage.self().delegated)); }));
}

/// chmod(2) writes the list anew, with the entry that the host made.
Attempt chmod_with_entry(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign)) return went_wrong("no file");
    if (const int code = set_acl(stage.path("f"), kAccess, acl_for(kUserTag, stage.start()), 0); code != 0)
        return code < 0 ? tried(code) : went_wrong("no ACL");
    return tried(stage.inside([&] { return code_of(::chmod(stage.path("f").c_str(), 0640)); }));
}

}  // namespace

void add_acls(Table& table) {
    const std::string user = acl_for(kUserTag, 5), group = acl_for(kGroupTag, 5);
    table.channel("ACL entry of a user", Where::kEach, [=](Stage& s) { return on_file(s, by_path, user); });
    table.channel("ACL entry of a group", Where::kEach, [=](Stage& s) { return on_file(s, by_path, group); });
    table.channel("ACL entry of a delegated id", Where::kEach,
                  [](Stage& s) { return on_file(s, by_path, acl_for(kUserTag, s.managed().delegated)); });
    table.channel("ACL, last of 100 entries is transient", Where::kEach,
                  [](Stage& s) { return on_file(s, by_path, acl_for(kGroupTag, 65535 - 50, 51)); });
    table.channel("ACL, last of 300 entries is transient", Where::kEach, [](Stage& s) { return long_one(s, 300, 5); });
    table.channel("ACL, last of 4000 entries is transient", Where::kEach,
                  [](Stage& s) { return long_one(s, 4000, 5); });
    table.control("ACL of 300 foreign entries", Where::kEach,
                  [](Stage& s) { return long_one(s, 300, kForeign + 300); });
    table.report("ACL of 4000 foreign entries", Where::kEach, "the policy may look at a bounded number of them only",
                 [](Stage& s) { return long_one(s, 4000, kForeign + 4000); });
    table.channel("ACL by fsetxattr", Where::kEach, [=](Stage& s) { return on_file(s, by_descriptor, user); });
    table.channel("ACL by /proc/self/fd/N", Where::kEach, [=](Stage& s) { return on_file(s, by_proc, user); });
    table.channel("ACL by setxattrat", Where::kEach, [=](Stage& s) { return on_file(s, by_setxattrat, user); });
    table.channel("default ACL", Where::kEach, [=](Stage& s) { return on_directory(s, user); });
    table.channel("default ACL entry of a group", Where::kEach, [=](Stage& s) { return on_directory(s, group); });
    table.channel("ACL entry of a delegated id, self namespace", Where::kEach, in_self);
    table.control("ACL without users or groups", Where::kEach,
                  [](Stage& s) { return on_file(s, by_path, acl_for(kUserTag, 0, 0)); });
    table.control("ACL entry of a foreign user", Where::kEach,
                  [](Stage& s) { return on_file(s, by_path, acl_for(kUserTag, kForeign + 5, 20)); });
    table.control("default ACL entry of a foreign group", Where::kEach,
                  [](Stage& s) { return on_directory(s, acl_for(kGroupTag, kForeign + 5)); });
    table.control("ACL taken away", Where::kEach, taken_away);
    table.control("chmod of a file with a transient ACL entry", Where::kEach, chmod_with_entry);
}

}  // namespace nsr::channels
