// SPDX-License-Identifier: LGPL-2.1-or-later
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <span>

#include "rows.h"

namespace nsr::bench {

namespace {

constexpr rlim_t kDescriptors = 16000;

enum class Processors { kAll, kOne };

struct Section {
    std::string_view name;
    Status (*measure)(Setting&);
    Processors processors = Processors::kAll;
    Effort least = Effort::kQuick;  // with which it is done without being named
};

constexpr Section kSections[]{
    {"allocate", [](Setting& setting) { return measure_allocation(setting, "none"); }, Processors::kOne},
    {"quarantine", [](Setting& setting) { return measure_allocation(setting, "quarantine"); }, Processors::kOne},
    {"enforce", measure_enforced_allocation, Processors::kOne},
    {"policy", measure_policy, Processors::kOne},
    {"clients", measure_parallel_clients},
    {"lookup", measure_lookups, Processors::kOne},
    {"idle", measure_idle_connections, Processors::kOne},
    {"death", measure_mass_death},
    {"hostile-calls", measure_hostile_calls, Processors::kAll, Effort::kFull},
    {"hostile-deaths", measure_hostile_deaths, Processors::kAll, Effort::kFull},
    {"full", measure_full_pool, Processors::kAll, Effort::kFull},
};

// "hostile" names both of its parts.
bool is_named(const Section& section, std::string_view name) {
    return section.name == name || section.name.starts_with(fmt::format("{}-", name));
}

struct Options {
    enum class Action { kMeasure, kHelp } action = Action::kMeasure;
    Effort effort = Effort::kFull;
    std::vector<std::string_view> sections;
};

void print_usage() {
    fmt::print(
        "Usage: nsresource-bench [--quick] [SECTION...]\n\n"
        "Measures the service against the bare kernel work; needs root. Sections (all, if none is named; --quick "
        "leaves out hostile and full):\n"
        "  allocate     AllocateUserRange\n"
        "  quarantine   the same with --enforcement=quarantine\n"
        "  enforce      the same with --enforcement=enforce, where the kernel can have it\n"
        "  policy       the kernel policy: loading it, and processes that it does not concern\n"
        "  clients      four clients at once\n"
        "  lookup       the user database\n"
        "  idle         10,000 idle connections of somebody else; memory\n"
        "  death        5,000 namespaces closed at once\n"
        "  hostile      what another user's calls take while one attacks; hostile-calls and hostile-deaths are its "
        "parts\n"
        "  full         filling all ranges; start with a full registry\n");
}

Result<Options> parse(std::span<char*> arguments) {
    Options options;
    for (std::string_view argument : arguments) {
        if (argument == "--quick")
            options.effort = Effort::kQuick;
        else if (argument == "--help")
            options.action = Options::Action::kHelp;
        else if (std::ranges::any_of(kSections, [&](const Section& one) { return is_named(one, argument); }))
            options.sections.push_back(argument);
        else
            return fail(EINVAL, "'{}' is not understood", argument);
    }
    return options;
}

Result<std::string> make_directory(std::string pattern) {
    if (!mkdtemp(pattern.data())) return fail_errno(errno, pattern);
    // Clients that are not root connect to a socket in it.
    if (chmod(pattern.c_str(), 0755) < 0) return fail_errno(errno, pattern);
    return pattern;
}

Result<Place> make_place() {
    std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    Place place;
    place.binary_dir = self.parent_path();
    place.runtime = TRY(make_directory("/dev/shm/nsresource-bench.XXXXXX"));
    place.state = TRY(make_directory("/var/tmp/nsresource-bench.XXXXXX"));
    return place;
}

// Where one process at a time has something to do, it is a matter of luck whether the scheduler wakes it on a processor
// that sleeps, and that costs more (40 µs in a virtual machine) than all of a look-up. So floor and service share one.
Status measure_on(const Section& section, Setting& setting) {
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all) < 0) return fail_errno(errno, "sched_getaffinity");
    cpu_set_t chosen = all;
    if (section.processors == Processors::kOne) {
        size_t last = CPU_SETSIZE - 1;
        while (last > 0 && !CPU_ISSET(last, &all)) --last;
        CPU_ZERO(&chosen);
        CPU_SET(last, &chosen);
    }
    if (sched_setaffinity(0, sizeof chosen, &chosen) < 0) return fail_errno(errno, "sched_setaffinity");
    Status measured = section.measure(setting);
    if (sched_setaffinity(0, sizeof all, &all) < 0) return fail_errno(errno, "sched_setaffinity");
    return measured;
}

Status measure(const Place& place, const Options& options) {
    Table table;
    Setting setting{place, options.effort, table};
    table.print_head();
    for (const auto& section : kSections) {
        bool named = std::ranges::any_of(options.sections, [&](auto name) { return is_named(section, name); });
        bool wanted = named || (options.sections.empty() && options.effort >= section.least);
        if (wanted) TRY_WITHIN(section.name, measure_on(section, setting));
    }
    fmt::print("\n{} rows over budget\n", table.over_budget());
    return {};
}

int report(const Status& status) {
    if (status) return EXIT_SUCCESS;
    fmt::print(stderr, "nsresource-bench: {}\n", status.error().what());
    return EXIT_FAILURE;
}

Status raise_descriptor_limit() {
    struct rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    if (limit.rlim_max < kDescriptors) return fail(EMFILE, "{} descriptors are needed (ulimit -Hn)", kDescriptors);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return fail_errno(errno, "limit on descriptors");
    return {};
}

// The work is a child's, so that somebody is left to clean up however that ends.
Status run(const Options& options) {
    TRY(raise_descriptor_limit());
    Place place = TRY(make_place());
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
    Status measured;
    auto child = Child::run([&] {
        for (int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
        return report(measure(place, options));
    });
    measured = child ? child->wait() : Status(std::unexpected(child.error()));
    while (wait(nullptr) > 0 || errno == EINTR) {
    }
    std::error_code ignored;
    std::filesystem::remove_all(place.runtime, ignored);
    std::filesystem::remove_all(place.state, ignored);
    return measured;
}

}  // namespace

}  // namespace nsr::bench

int main(int argc, char** argv) {
    using namespace nsr::bench;
    auto options = parse(std::span(argv, static_cast<size_t>(argc)).subspan(1));
    if (!options) {
        fmt::print(stderr, "nsresource-bench: {} (--help tells what is)\n", options.error().what());
        return 2;
    }
    if (options->action == Options::Action::kHelp) {
        print_usage();
        return EXIT_SUCCESS;
    }
    return report(run(*options));
}
