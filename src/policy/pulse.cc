// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/pulse.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <array>
#include <climits>

#include "policy/bpf_call.h"
#include "policy/layout.h"

namespace nsr::policy {

namespace {

/// A call may be left out by the kernel (missed_calls.h), at the start as well.
constexpr int kAttempts = 5;

int outcome(int result) { return result < 0 ? errno : 0; }

// Each gives 0, or the errno value of a call that may not have reached the programs.

int make_directory(int place) {
    int code = outcome(mkdirat(place, "beat", 0700));
    // Or a directory that could not be removed once would be in the way for ever.
    unlinkat(place, "beat", AT_REMOVEDIR);
    return code;
}

int change_owner(int place) { return outcome(fchownat(place, "", 0, 0, AT_EMPTY_PATH)); }

// The kernel counts its limit on queues, which others may have used up, only after it has asked.
int make_queue(int) {
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    int code = outcome(id);
    if (id >= 0) msgctl(id, IPC_RMID, nullptr);
    return code;
}

int look_at_keyring(int) {
    return outcome(static_cast<int>(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0)));
}

int keep_groups(int) {
    std::array<gid_t, NGROUPS_MAX> groups;
    int count = getgroups(NGROUPS_MAX, groups.data());
    return count < 0 ? errno : outcome(setgroups(static_cast<size_t>(count), groups.data()));
}

int make_filesystem(int) {
    UniqueFd tmpfs(fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!tmpfs) return errno;
    return outcome(fsconfig(tmpfs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
}

struct Family {
    std::string_view name;
    int (*call)(int place);
    enum class Need { kAlways, kIfThere } need = Need::kAlways;
};
constexpr std::array<Family, 6> kFamilies{{
    {"new inodes", make_directory},
    {"owners of inodes", change_owner},
    {"System V objects", make_queue},
    {"keys", look_at_keyring, Family::Need::kIfThere},
    {"groups", keep_groups},
    {"new file systems", make_filesystem},
}};

Result<UniqueFd> make_place() {
    UniqueFd tmpfs(fsopen("tmpfs", FSOPEN_CLOEXEC));
    bool is_made = tmpfs && fsconfig(tmpfs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
    UniqueFd root(is_made ? fsmount(tmpfs.get(), FSMOUNT_CLOEXEC, 0) : -1);
    int code = errno;
    if (!root) return fail_errno(code, "file system to try the kernel policy on");
    return root;
}

Result<uint64_t> count_of(BorrowedFd beats, uint32_t of) {
    uint64_t count = 0;
    TRY(map_lookup(beats, &of, &count));
    return count;
}

struct Answer {
    bool is_counted = false;
    int code = 0;
};

Result<Answer> ask(const Family& family, BorrowedFd place, BorrowedFd beats) {
    uint64_t before = TRY(count_of(beats, NSR_BEATS_OF_MANAGER));
    int code = family.call(place.get());
    return Answer{TRY(count_of(beats, NSR_BEATS_OF_MANAGER)) != before, code};
}

}  // namespace

Result<Pulse> Pulse::create(BorrowedFd beats) {
    // The programs know the service's calls by it, however it was started.
    if (prctl(PR_SET_NAME, "nsresourced") < 0) return fail_errno(errno, "PR_SET_NAME");
    Pulse pulse(TRY(make_place()));
    pulse.beats_ = beats;
    for (size_t i = 0; i < kFamilies.size(); ++i) {
        Answer answer;
        for (int attempt = 0; attempt < kAttempts && !answer.is_counted; ++attempt)
            answer = TRY(ask(kFamilies[i], pulse.place_.borrow(), beats));
        if (answer.is_counted) pulse.families_.push_back(i);
        if (!answer.is_counted && kFamilies[i].need == Family::Need::kAlways)
            return fail(EPROTO, "the kernel policy does not count a call of the service about {}: {}",
                        kFamilies[i].name, answer.code == 0 ? "it was not asked" : errno_name(answer.code));
    }
    return pulse;
}

Result<std::vector<std::string_view>> Pulse::silent() const {
    std::vector<std::string_view> silent;
    for (size_t i : families_) {
        auto answer = TRY(ask(kFamilies[i], place_.borrow(), beats_));
        if (!answer.is_counted && answer.code == 0) silent.push_back(kFamilies[i].name);
    }
    return silent;
}

}  // namespace nsr::policy
