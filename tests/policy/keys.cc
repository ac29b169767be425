// SPDX-License-Identifier: LGPL-2.1-or-later
// Keys: what a namespace puts into a keyring that was there before it stays there.
#include <grp.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstring>

#include "keyring.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

int put(const char* type) { return code_of(add_key(type, "channels", KEY_SPEC_SESSION_KEYRING)); }

int link_own_key() {
    const Serial key = add_key("user", "channels", KEY_SPEC_PROCESS_KEYRING);
    return key < 0 ? lacking(errno) : code_of(keyctl(KEYCTL_LINK, key, KEY_SPEC_SESSION_KEYRING));
}

int move_own_key() {
    const Serial key = add_key("user", "channels", KEY_SPEC_PROCESS_KEYRING);
    if (key < 0) return lacking(errno);
    return code_of(keyctl(KEYCTL_MOVE, key, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_SESSION_KEYRING, 0));
}

int link_keyring(Serial keyring) { return code_of(keyctl(KEYCTL_LINK, keyring, KEY_SPEC_SESSION_KEYRING)); }

/// Asked for with a destination: it is found in a keyring of its own, and linked there.
int request_own_key() {
    if (add_key("user", "channels", KEY_SPEC_THREAD_KEYRING) < 0) return lacking(errno);
    return code_of(::syscall(SYS_request_key, "user", "channels", nullptr, KEY_SPEC_SESSION_KEYRING));
}

/// Nobody has it: the kernel makes one to be filled in by a helper of the host's.
int request_new_key() {
    const long key = ::syscall(SYS_request_key, "user", "channels-new", "x", KEY_SPEC_SESSION_KEYRING);
    return code_of(key);
}

int persistent_into_session() {
    const long key = keyctl(KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_SESSION_KEYRING);
    return key < 0 && errno == EOPNOTSUPP ? lacking(errno) : code_of(key);
}

constexpr long kOpenToAll = 0x3f3f3f3f, kOpenToOwner = 0x3f3f0000;

/// It is opened to everybody inside, and linked from outside, where no serial number is a secret.
Attempt linked_from_outside(Stage& stage) {
    const Page page;
    const int code = run_child([&] {
        if (const int joined = join_as_user(); joined != 0) return joined;
        Serial key = 0;
        const int answer = inside(stage.managed(), {}, [&] {
            // Possessed by its session, and kept by its user.
            if (keyctl(KEYCTL_JOIN_SESSION_KEYRING) < 0) return lacking(errno);
            key = add_key("user", "channels-open", KEY_SPEC_SESSION_KEYRING);
            if (key < 0 || keyctl(KEYCTL_LINK, key, KEY_SPEC_USER_KEYRING) < 0) return lacking(errno);
            std::memcpy(page.text, &key, sizeof key);
            return code_of(keyctl(KEYCTL_SETPERM, key, kOpenToAll));
        });
        std::memcpy(&key, page.text, sizeof key);
        keyctl(KEYCTL_LINK, key, KEY_SPEC_SESSION_KEYRING);
        const std::string found = found_in_session();
        std::strncpy(page.text, found.c_str(), 4095);
        return answer;
    });
    const std::string found = page.text;
    return tried(code, found.empty() ? std::vector<std::string>{} : std::vector<std::string>{"key " + found});
}

int change_own_key() {
    const Serial key = add_key("user", "channels", KEY_SPEC_PROCESS_KEYRING);
    const Serial keyring = add_key("keyring", "channels-ring", KEY_SPEC_PROCESS_KEYRING);
    if (key < 0 || keyring < 0) return lacking(errno);
    if (keyctl(KEYCTL_SETPERM, key, kOpenToOwner) < 0) return errno;
    if (keyctl(KEYCTL_SET_TIMEOUT, key, 1000) < 0) return errno;
    if (keyctl(KEYCTL_CHOWN, key, -1, 0) < 0) return errno;
    return code_of(keyctl(KEYCTL_RESTRICT_KEYRING, keyring));
}

/// An owner may give a key to a group that he is in.
int give_to_group(uint32_t group) {
    return code_of(keyctl(KEYCTL_CHOWN, KEY_SPEC_SESSION_KEYRING, -1, static_cast<long>(group)));
}

int use_own_session() {
    if (keyctl(KEYCTL_JOIN_SESSION_KEYRING) < 0) return errno;
    if (const int code = put("user"); code != 0) return code;
    if (const int code = put("keyring"); code != 0) return code;
    if (const int code = link_own_key(); code != 0) return code;
    return link_keyring(KEY_SPEC_USER_KEYRING);
}

int use_own_keyrings() {
    for (const Serial keyring :
         {KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING}) {
        if (add_key("user", "channels", keyring) < 0) return errno;
        if (add_key("keyring", "channels-ring", keyring) < 0) return errno;
    }
    return 0;
}

int use_named_session() { return code_of(keyctl(KEYCTL_JOIN_SESSION_KEYRING, text("channels"))); }

int use_persistent() {
    const long key = keyctl(KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_PROCESS_KEYRING);
    if (key < 0) return errno == EOPNOTSUPP ? lacking(errno) : errno;
    return code_of(add_key("user", "channels", static_cast<Serial>(key)));
}

int read_session() {
    Serial keys[16] = {};
    if (keyctl(KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, static_cast<long>(reinterpret_cast<uintptr_t>(keys)),
               sizeof keys) < 0)
        return errno;
    return code_of(keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, text("user"), text("channels-host"), 0));
}

constexpr As kForeigner{.uid = kForeign, .gid = kForeign};

}  // namespace

void add_keys(Table& table) {
    const auto channel = [&](const char* name, int (*put_there)()) -> Case& {
        return table.channel(name, Where::kOnce,
                             [put_there](Stage& s) { return in_session(s.managed(), {}, put_there); });
    };
    const auto control = [&](const char* name, const As& as, int (*use)()) {
        table.control(name, Where::kOnce, [as, use](Stage& s) { return in_session(s.managed(), as, use); });
    };
    channel("key in the session keyring from before", [] { return put("user"); });
    channel("keyring in the session keyring from before", [] { return put("keyring"); });
    channel("own key linked there", link_own_key);
    channel("own key moved there", move_own_key);
    channel("user keyring linked there", [] { return link_keyring(KEY_SPEC_USER_KEYRING); });
    channel("user session keyring linked there", [] { return link_keyring(KEY_SPEC_USER_SESSION_KEYRING); });
    channel("own key requested into it", request_own_key);
    channel("new key requested into it", request_new_key);
    channel("persistent keyring linked there", persistent_into_session);
    table.channel("key in the session keyring, nested namespace", Where::kOnce, [](Stage& s) {
        const Map map{{0, 3, 10}};
        auto space = unmanaged(map, map, &s.managed());
        return space ? in_session(*space, {}, [] { return put("user"); }) : went_wrong(space.error().what());
    });
    table.channel("key in the session keyring, delegated id of a self namespace", Where::kOnce, [](Stage& s) {
        const uint32_t id = s.self().delegated;
        return in_session(s.self(), {.uid = id, .gid = id}, [] { return put("user"); });
    });
    table.channel("keyctl chown to a delegated group, self namespace", Where::kOnce, [](Stage& s) {
        const uint32_t id = s.self().delegated;
        return in_session(s.self(), {.uid = 0, .gid = id}, [id] { return give_to_group(id); });
    });
    table.channel("own key opened to all, and linked from outside", Where::kOnce, linked_from_outside);
    control("own key: permissions, time limit, group, restriction", {}, change_own_key);
    control("session keyring of its own, keys in it", {}, use_own_session);
    control("named session keyring", {}, use_named_session);
    control("thread, process and user keyrings", {}, use_own_keyrings);
    control("persistent keyring", {}, use_persistent);
    control("session keyring from before: read and search", {}, read_session);
    control("key of foreign ids in the session keyring", kForeigner, [] { return put("user"); });
    table.control("key in the session keyring, self namespace as its user", Where::kOnce,
                  [](Stage& s) { return in_session(s.self(), {}, [] { return put("user"); }); });
}

}  // namespace nsr::channels
