// SPDX-License-Identifier: LGPL-2.1-or-later
// Tries every way out of a managed namespace, and everything that has to stay possible in one.
#include <getopt.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "base/sys.h"
#include "runner.h"
#include "service.h"
#include "stage.h"

namespace nsr::channels {

namespace {

constexpr int kWrongUsage = 2;
constexpr int kSkipped = 77;

struct Options {
    std::string bindir, scratch = "/run", level = "enforce", socket;
    Wanted wanted;
    bool list = false;
    FileSystems file_systems = FileSystems::kUsual;
};

int usage(const char* program) {
    fmt::print(stderr,
               "usage: {} [--bindir=DIR] [--dir=DIR] [--enforcement=LEVEL] [--socket=PATH] [--only=TEXT] [--list] "
               "[--expect=held|leaks] [--all-file-systems] [--more-file-systems] [--verbose]\n",
               program);
    return kWrongUsage;
}

std::string own_directory() {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

/// False: wrong usage.
bool parse(int argc, char** argv, Options& options) {
    constexpr option kLong[] = {{"bindir", 1, nullptr, 'b'},
                                {"dir", 1, nullptr, 'd'},
                                {"enforcement", 1, nullptr, 'e'},
                                {"socket", 1, nullptr, 's'},
                                {"only", 1, nullptr, 'o'},
                                {"list", 0, nullptr, 'l'},
                                {"expect", 1, nullptr, 'x'},
                                {"verbose", 0, nullptr, 'v'},
                                {"all-file-systems", 0, nullptr, 'a'},
                                {"more-file-systems", 0, nullptr, 'm'},
                                {nullptr, 0, nullptr, 0}};
    int found;
    while ((found = ::getopt_long(argc, argv, "", kLong, nullptr)) != -1) {
        const std::string value = ::optarg != nullptr ? ::optarg : "";
        switch (found) {
            case 'b':
                options.bindir = value;
                break;
            case 'd':
                options.scratch = value;
                break;
            case 'e':
                options.level = value;
                break;
            case 's':
                options.socket = value;
                break;
            case 'o':
                options.wanted.text = value;
                break;
            case 'l':
                options.list = true;
                break;
            case 'a':
                options.wanted.all_file_systems = true;
                break;
            case 'm':
                options.file_systems = FileSystems::kMore;
                break;
            case 'v':
                options.wanted.verbose = true;
                break;
            case 'x':
                if (value != "held" && value != "leaks") return false;
                options.wanted.expect = value == "leaks" ? Expect::kLeaks : Expect::kHeld;
                break;
            default:
                return false;
        }
    }
    return ::optind == argc;
}

/// Mounts and IPC objects of this program are its own and go with it. Nothing else of the host's is left behind.
Result<std::string> make_scratch(const std::string& where) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0) return fail_errno(errno, "unshare");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) < 0) return fail_errno(errno, "detach mounts");
    std::string path = where + "/nsresource-channels.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, path);
    if (::mount("channels", path.c_str(), "tmpfs", 0, "mode=0755") < 0) return fail_errno(errno, "mount a tmpfs");
    return path;
}

void remove_scratch(const std::string& path) {
    ::umount2(path.c_str(), MNT_DETACH);
    ::rmdir(path.c_str());
}

Result<int> run_in(const std::string& scratch, const Options& options) {
    const auto file_systems = make_file_systems(scratch, options.file_systems);
    std::optional<Service> service;
    if (options.socket.empty()) service.emplace(TRY(Service::start(options.bindir, options.level, scratch)));
    auto setting = TRY(Setting::make(service ? service->socket() : options.socket, options.level, scratch));
    return run_cases(setting, file_systems, options.wanted);
}

int run(const Options& options) {
    ::umask(022);
    // For the core dumps of the cases.
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_CORE, &unlimited);
    auto scratch = make_scratch(options.scratch);
    if (!scratch) {
        fmt::print(stderr, "nsresource-channels: {}\n", scratch.error().what());
        return 1;
    }
    auto status = run_in(*scratch, options);
    remove_scratch(*scratch);
    if (status) return *status;
    fmt::print(stderr, "nsresource-channels: {}\n", status.error().what());
    return 1;
}

}  // namespace

}  // namespace nsr::channels

int main(int argc, char** argv) {
    nsr::channels::Options options;
    options.bindir = nsr::channels::own_directory();
    if (!nsr::channels::parse(argc, argv, options)) return nsr::channels::usage(argv[0]);
    if (options.list) return nsr::channels::list_cases(options.wanted);
    if (::geteuid() != 0) {
        fmt::print("skipped: only root can run the service\n");
        return nsr::channels::kSkipped;
    }
    return nsr::channels::run(options);
}
