// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "base/sys.h"
#include "varlink/client.h"

namespace nsr::channels {

namespace {

// Loading the policy takes seconds in an emulated machine.
constexpr uint64_t kPatienceUsec = 120'000'000;
constexpr useconds_t kPauseUsec = 20'000;

[[noreturn]] void become_service(const std::string& program, const std::vector<std::string>& options,
                                 const std::string& log) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    std::vector<char*> arguments{const_cast<char*>(program.c_str())};
    for (const auto& option : options) arguments.push_back(const_cast<char*>(option.c_str()));
    arguments.push_back(nullptr);
    ::execv(program.c_str(), arguments.data());
    ::_exit(127);
}

}  // namespace

Result<Service> Service::start(const std::string& directory, const std::string& level, const std::string& scratch) {
    const std::string run = scratch + "/run", state = scratch + "/state", log = scratch + "/log";
    TRY(sys::ensure_directory(sys::kCwd, run, 0755));
    TRY(sys::ensure_directory(sys::kCwd, state, 0755));
    const std::vector<std::string> options{"--runtime-dir=" + run, "--state-dir=" + state, "--config=/dev/null",
                                           "--enforcement=" + level};
    const pid_t pid = ::fork();
    if (pid == 0) become_service(directory + "/nsresourced", options, log);
    if (pid < 0) return fail_errno(errno, "fork");
    Service service(pid, run + "/io.systemd.NamespaceResource");
    const Status status = service.wait_for_answer();
    if (status) return service;
    auto text = sys::read_file_at(sys::kCwd, log, size_t{1} << 20);
    return fail(status.error().code(), "{}; its log:\n{}", status.error().what(), text.value_or(""));
}

Status Service::wait_for_answer() const {
    const uint64_t end = sys::now_usec() + kPatienceUsec;
    while (sys::now_usec() < end) {
        if (::waitpid(pid_, nullptr, WNOHANG) != 0) return fail(ECHILD, "the service ended at once");
        auto client = varlink::Client::connect(socket_, kPatienceUsec);
        if (client && client->call("org.varlink.service.GetInfo", {}, {}, kPatienceUsec)) return {};
        ::usleep(kPauseUsec);
    }
    return fail(ETIMEDOUT, "the service does not answer");
}

Service::~Service() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
}

}  // namespace nsr::channels
