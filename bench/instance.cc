// SPDX-License-Identifier: LGPL-2.1-or-later
#include "instance.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <charconv>

#include "base/sys.h"
#include "samples.h"

namespace nsr::bench {

namespace {

constexpr uint64_t kStartUsec = 30'000'000, kReleaseUsec = 60'000'000;
constexpr useconds_t kPollUsec = 2'000;
constexpr size_t kMaxLogSize = 1 << 30;

int exec_service(const Place& place, const std::string& enforcement, const std::string& notify) {
    setenv("NOTIFY_SOCKET", notify.c_str(), 1);
    UniqueFd log(open((place.runtime + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    dup2(log.get(), STDERR_FILENO);
    std::string program = place.binary_dir + "/nsresourced";
    std::array<std::string, 5> options{"--runtime-dir=" + place.runtime + "/run", "--state-dir=" + place.state,
                                       "--config=" + place.runtime + "/conf", "--enforcement=" + enforcement,
                                       "--log-level=notice"};
    char* arguments[] = {
        program.data(), options[0].data(), options[1].data(), options[2].data(), options[3].data(), options[4].data(),
        nullptr};
    execv(program.c_str(), arguments);
    return 127;
}

Result<UniqueFd> listen_for_notice(const std::string& path) {
    UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno(errno, "socket");
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const void* generic = &address;
    unlink(path.c_str());
    if (bind(fd.get(), static_cast<const struct sockaddr*>(generic), sizeof address) < 0)
        return fail_errno(errno, "bind");
    return fd;
}

Status wait_for_ready(BorrowedFd notices) {
    uint64_t deadline = sys::now_usec() + kStartUsec;
    for (uint64_t now = sys::now_usec(); now < deadline; now = sys::now_usec()) {
        struct pollfd poll{notices.get(), POLLIN, 0};
        if (TRY(sys::poll({&poll, 1}, deadline - now)) == 0) break;
        std::array<char, 4096> buffer;
        ssize_t n = recv(notices.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n > 0 && std::string_view(buffer.data(), static_cast<size_t>(n)).find("READY=1") != std::string_view::npos)
            return {};
    }
    return fail(ETIMEDOUT, "the service did not become ready");
}

Result<std::string> read_text(const std::string& path) {
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, path, O_RDONLY));
    return sys::read_all(fd.borrow(), 1 << 20);
}

// A line of smaps_rollup: "Rss:   1234 kB".
uint64_t kilobytes(std::string_view text, std::string_view field) {
    size_t at = text.find(field);
    if (at == std::string_view::npos) return 0;
    at = text.find_first_not_of(' ', at + field.size());
    uint64_t value = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), value);
    return value * 1024;
}

}  // namespace

Instance::Instance(Child child, const Place& place, double start_seconds)
    : child_(std::move(child)),
      registry_(place.runtime + "/run/nsresource/registry"),
      socket_(place.runtime + "/run/io.systemd.NamespaceResource"),
      log_(place.runtime + "/log"),
      start_seconds_(start_seconds) {}

Result<Instance> Instance::start(const Place& place, const std::string& enforcement) {
    TRY(sys::ensure_directory(sys::kCwd, place.runtime + "/run", 0755));
    UniqueFd config = TRY(sys::open_at(sys::kCwd, place.runtime + "/conf", O_WRONLY | O_CREAT, 0644));
    std::string notify = place.runtime + "/notify";
    UniqueFd notices = TRY(listen_for_notice(notify));
    uint64_t begin = now_nsec();
    Child child = TRY(Child::run([&] { return exec_service(place, enforcement, notify); }));
    TRY(wait_for_ready(notices.borrow()));
    return Instance(std::move(child), place, static_cast<double>(now_nsec() - begin) / 1e9);
}

Result<std::vector<pid_t>> Instance::workers() const {
    std::string text = TRY(read_text(fmt::format("/proc/{}/task/{}/children", pid(), pid())));
    std::vector<pid_t> found;
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
        pid_t worker = 0;
        auto parsed = std::from_chars(at, end, worker);
        if (parsed.ec != std::errc()) break;
        found.push_back(worker);
        at = parsed.ptr + 1;
    }
    return found;
}

Result<size_t> Instance::registrations() const {
    size_t count = 0;
    for (const auto& file : TRY(sys::list_directory(sys::kCwd, registry_)))
        if (file.starts_with('i')) ++count;
    return count;
}

Result<size_t> Instance::log_lines() const {
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, log_, O_RDONLY));
    std::string text = TRY(sys::read_all(fd.borrow(), kMaxLogSize));
    return static_cast<size_t>(std::ranges::count(text, '\n'));
}

bool Instance::has_registrations(Uid owner) const {
    return access(fmt::format("{}/o{}.owns", registry_, owner).c_str(), F_OK) == 0;
}

Status Instance::wait_until_released(Uid owner) const {
    for (uint64_t deadline = sys::now_usec() + kReleaseUsec; sys::now_usec() < deadline; usleep(kPollUsec))
        if (!has_registrations(owner)) return {};
    return fail(ETIMEDOUT, "registrations of uid {} were not released", owner);
}

Result<Memory> memory_of(pid_t pid) {
    std::string text = TRY(read_text(fmt::format("/proc/{}/smaps_rollup", pid)));
    return Memory{.resident = kilobytes(text, "\nRss:"),
                  .own = kilobytes(text, "\nPrivate_Clean:") + kilobytes(text, "\nPrivate_Dirty:")};
}

}  // namespace nsr::bench
