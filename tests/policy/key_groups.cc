// SPDX-License-Identifier: LGPL-2.1-or-later
// Keys of a user outside that have a group of the namespace: the user may link them, and needs no permission for it.
#include <unistd.h>
#include <cstring>

#include "keyring.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// Makes a key inside; its number, or a negative one with errno.
using Make = std::function<long(const Space&)>;

void make_inside(const Space& space, const Make& make, const Page& serial, const std::function<void(int)>& ready) {
    if (const int code = enter(space, {}); code != 0) return ready(ENOTRECOVERABLE);
    const Serial key = static_cast<Serial>(make(space));
    const int code = code_of(key);
    std::memcpy(serial.text, &key, sizeof key);
    ready(code);
    // The key goes with the process.
    ::pause();
}

/// Uid 1000, who is the root of a self namespace, links outside what was made there.
int link_outside(const Space& space, const Make& make, const Page& found) {
    if (const int joined = join_as_user(); joined != 0) return joined;
    const Page serial;
    const Companion maker([&](const std::function<void(int)>& ready) { make_inside(space, make, serial, ready); });
    if (maker.answer() != 0) return maker.answer();
    Serial key = 0;
    std::memcpy(&key, serial.text, sizeof key);
    if (::seteuid(1000) < 0) return ENOTRECOVERABLE;
    const int code = code_of(keyctl(KEYCTL_LINK, key, KEY_SPEC_SESSION_KEYRING));
    std::strncpy(found.text, found_in_session().c_str(), 4095);
    return code;
}

Attempt linked_outside(Stage& stage, const Make& make) {
    const Page found;
    const int code = run_child([&] { return link_outside(stage.self(), make, found); });
    return tried_in_session(code, found);
}

/// New keyrings of a process have its real ids.
bool take_group(const Space& space) { return ::setresgid(space.delegated, 0, 0) == 0; }

long named_session(const Space& space) {
    return take_group(space) ? keyctl(KEYCTL_JOIN_SESSION_KEYRING, text("channels-group")) : -1;
}

long opened(long key) {
    constexpr long kOpenToUser = 0x3f3f0000;
    return key < 0 || keyctl(KEYCTL_SETPERM, key, kOpenToUser) < 0 ? -1 : key;
}

long open_session(const Space& space) { return take_group(space) ? opened(keyctl(KEYCTL_JOIN_SESSION_KEYRING)) : -1; }

long open_keyring(const Space& space, Serial which) {
    return take_group(space) ? opened(keyctl(KEYCTL_GET_KEYRING_ID, which, 1)) : -1;
}

/// A key with the ids of the task.
int change_own_key() {
    const Serial key = add_key("user", "channels", KEY_SPEC_PROCESS_KEYRING);
    const Serial keyring = add_key("keyring", "channels-ring", KEY_SPEC_PROCESS_KEYRING);
    if (key < 0 || keyring < 0) return lacking(errno);
    if (keyctl(KEYCTL_SETPERM, key, 0x3f3f3f3f) < 0) return errno;
    if (keyctl(KEYCTL_SET_TIMEOUT, key, 1000) < 0) return errno;
    if (keyctl(KEYCTL_CHOWN, key, -1, ::getegid()) < 0) return errno;
    return code_of(keyctl(KEYCTL_RESTRICT_KEYRING, keyring));
}

/// All its ids are delegated ones: what it has is gone when they are free.
int use_delegated_session() {
    const long keyring = keyctl(KEYCTL_JOIN_SESSION_KEYRING, text("channels-delegated"));
    if (opened(keyring) < 0) return errno;
    return code_of(add_key("user", "channels", KEY_SPEC_SESSION_KEYRING));
}

}  // namespace

void add_key_groups(Table& table) {
    const auto channel = [&](const char* name, const Make& make) {
        table.channel(name, Where::kOnce, [make](Stage& stage) { return linked_outside(stage, make); });
    };
    channel("named session keyring, delegated group", named_session);
    channel("session keyring, delegated group", open_session);
    channel("process keyring, delegated group",
            [](const Space& space) { return open_keyring(space, KEY_SPEC_PROCESS_KEYRING); });
    channel("thread keyring, delegated group",
            [](const Space& space) { return open_keyring(space, KEY_SPEC_THREAD_KEYRING); });
    table.control("own key of foreign ids: the same changes", Where::kOnce,
                  [](Stage& s) { return in_session(s.managed(), {.uid = kForeign, .gid = kForeign}, change_own_key); });
    table.control("own key of a self namespace's user: the same changes", Where::kOnce,
                  [](Stage& s) { return in_session(s.self(), {}, change_own_key); });
    table.control("session keyring of delegated ids", Where::kOnce, [](Stage& s) {
        const uint32_t id = s.self().delegated;
        return in_session(s.self(), {.uid = id, .gid = id}, use_delegated_session);
    });
}

}  // namespace nsr::channels
