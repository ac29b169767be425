// SPDX-License-Identifier: LGPL-2.1-or-later
#include "keyring.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <cstring>
#include <sstream>

namespace nsr::channels {

long keyctl(int operation, long a, long b, long c, long d) { return ::syscall(SYS_keyctl, operation, a, b, c, d); }
long text(const char* chars) { return static_cast<long>(reinterpret_cast<uintptr_t>(chars)); }

Serial add_key(const char* type, const char* name, Serial keyring) {
    const bool is_keyring = std::strcmp(type, "keyring") == 0;
    return static_cast<Serial>(
        ::syscall(SYS_add_key, type, name, is_keyring ? nullptr : "secret", is_keyring ? 0UL : 6UL, keyring));
}

namespace {

/// "type;uid;gid;permissions;name" of a key, if one of its ids is transient.
bool is_transient_key(Serial key, std::string& description) {
    std::string buffer(512, '\0');
    const long size = keyctl(KEYCTL_DESCRIBE, key, text(buffer.data()), static_cast<long>(buffer.size()));
    if (size <= 0) return false;
    buffer.resize(static_cast<size_t>(size) - 1);
    std::istringstream fields(buffer);
    std::string type, uid, gid;
    std::getline(fields, type, ';');
    std::getline(fields, uid, ';');
    std::getline(fields, gid, ';');
    description = buffer;
    return is_transient(std::stoull(uid)) || is_transient(std::stoull(gid));
}

}  // namespace

std::string found_in_session() {
    std::string description;
    if (is_transient_key(KEY_SPEC_SESSION_KEYRING, description)) return description;
    Serial keys[64] = {};
    const long size = keyctl(KEYCTL_READ, KEY_SPEC_SESSION_KEYRING,
                             static_cast<long>(reinterpret_cast<uintptr_t>(keys)), sizeof keys);
    for (long i = 0; i * static_cast<long>(sizeof(Serial)) < size && i < 64; ++i)
        if (is_transient_key(keys[i], description)) return description;
    return "";
}

int join_as_user() {
    if (::setresgid(1000, 1000, 0) < 0 || ::setresuid(1000, 1000, 0) < 0) return errno;
    if (keyctl(KEYCTL_JOIN_SESSION_KEYRING) < 0) return lacking(errno);
    if (add_key("user", "channels-host", KEY_SPEC_SESSION_KEYRING) < 0) return lacking(errno);
    if (::setresuid(0, 0, 0) < 0) return errno;
    return code_of(::setresgid(0, 0, 0));
}

Attempt tried_in_session(int code, const Page& found) {
    const std::string line = found.text;
    return tried(code, line.empty() ? std::vector<std::string>{} : std::vector<std::string>{"key " + line});
}

Attempt in_session(const Space& space, const As& as, const Body& body) {
    const Page page;
    const int code = run_child([&] {
        if (const int joined = join_as_user(); joined != 0) return joined;
        const int answer = inside(space, as, body);
        std::strncpy(page.text, found_in_session().c_str(), 4095);
        return answer;
    });
    return tried_in_session(code, page);
}

}  // namespace nsr::channels
