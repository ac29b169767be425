// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/nss_lookup.h"

#include <grp.h>
#include <pwd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "base/log.h"

namespace nsr::hostdb {

namespace {

constexpr size_t kMaxNsswitch = 65536;
constexpr size_t kRecordBuffer = 65536;
/// Users and groups of these are read from the files themselves, or asked of the userdb services.
constexpr std::array<std::string_view, 3> kCoveredModules{"files", "compat", "systemd"};

/// Exit status of the process: this, and bits. A module that calls exit(3) gives a number outside.
constexpr int kAnswered = 64;
constexpr int kIdBit = 1;
constexpr int kAccountBit = 2;
constexpr int kTroubleBit = 4;

std::string_view take_until(std::string_view& rest, std::string_view separators) {
    size_t end = rest.find_first_of(separators);
    std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return piece;
}

NssModules modules_of(std::string_view services) {
    while (!services.empty()) {
        size_t action = services.find('[');
        std::string_view words = services.substr(0, action);
        while (!words.empty()) {
            std::string_view word = take_until(words, " \t\r");
            if (!word.empty() && std::ranges::find(kCoveredModules, word) == kCoveredModules.end())
                return NssModules::kOthers;
        }
        if (action == std::string_view::npos) break;
        services.remove_prefix(action);
        take_until(services, "]");
    }
    return NssModules::kCovered;
}

/// The bit where a look-up found something: a record that is too large for the buffer is one.
template <class Entry>
int outcome(int code, const Entry* found, int bit) {
    if (found || code == ERANGE) return bit;
    // getpwnam(3) lists what systems say for "not found", besides 0. ENOLINK is what nss-systemd says when it is told
    // not to ask the userdb services, as here.
    bool absent = code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM || code == ENOLINK;
    return absent ? 0 : kTroubleBit;
}

int look_up(const ranges::HostQuery& query) {
    // nss-systemd would ask the userdb services, us among them: that circle is cut (systemd's ENVIRONMENT document).
    setenv("SYSTEMD_BYPASS_USERDB", "1", 1);
    setenv("SYSTEMD_NSS_DYNAMIC_BYPASS", "1", 1);
    std::vector<char> buffer(kRecordBuffer);
    struct passwd user{}, *found_user = nullptr;
    struct group group{}, *found_group = nullptr;
    const char* account = query.account.c_str();

    int bits = 0;
    int code = 0;
    if (query.id) {
        code = getpwuid_r(query.id->value, &user, buffer.data(), buffer.size(), &found_user);
        bits |= outcome(code, found_user, kIdBit);
        code = getgrgid_r(query.id->value, &group, buffer.data(), buffer.size(), &found_group);
        bits |= outcome(code, found_group, kIdBit);
    }
    if (query.account.empty()) return kAnswered | bits;
    code = getpwnam_r(account, &user, buffer.data(), buffer.size(), &found_user);
    bits |= outcome(code, found_user, kAccountBit);
    code = getgrnam_r(account, &group, buffer.data(), buffer.size(), &found_group);
    bits |= outcome(code, found_group, kAccountBit);
    return kAnswered | bits;
}

}  // namespace

NssModules parse_nsswitch(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = take_until(text, "\n");
        line = line.substr(0, line.find('#'));
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        std::string_view database = take_until(line, ":");
        database = database.substr(0, database.find_last_not_of(" \t") + 1);
        if (database != "passwd" && database != "group") continue;
        if (modules_of(line) == NssModules::kOthers) return NssModules::kOthers;
    }
    return NssModules::kCovered;
}

NssLookup::NssLookup(std::string nsswitch_path) : file_(std::move(nsswitch_path), kMaxNsswitch) {}

Result<std::optional<ForkedChild>> NssLookup::start(const ranges::HostQuery& query) {
    if (auto content = TRY(file_.content_if_changed())) modules_ = parse_nsswitch(*content);
    if (modules_ == NssModules::kCovered) return std::optional<ForkedChild>();
    return TRY_WITHIN("name service look-up", start_probe([&query] { return look_up(query); }));
}

ranges::HostAnswer NssLookup::finish(ForkedChild child, uint64_t deadline_usec) {
    Result<int> status = child.wait(deadline_usec);
    bool answered = status && (*status & ~(kIdBit | kAccountBit | kTroubleBit)) == kAnswered;
    if ((!answered || (*status & kTroubleBit) != 0) && warned_ == Warned::kNo) {
        warned_ = Warned::kYes;
        std::string why = status ? fmt::format("status {}", *status) : status.error().what();
        log::warning("Name service does not answer whether ids are in use ({}); taken as unknown to it", why);
    }
    if (!answered) return {};
    return {.id_known = (*status & kIdBit) != 0, .account_known = (*status & kAccountBit) != 0};
}

}  // namespace nsr::hostdb
