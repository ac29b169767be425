// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/options.h"

#include <getopt.h>
#include <ini.h>
#include <algorithm>
#include <memory>

#include "base/sys.h"

namespace nsr::manager {

namespace {

Status set_enforcement(Options& options, std::string_view value) {
    auto level = policy::level_from_string(value);
    if (!level && value != "auto")
        return fail(EINVAL, "enforcement '{}' is none of auto, enforce, quarantine, none, refuse", value);
    options.enforcement = level;
    return {};
}

Status set_log_level(Options& options, std::string_view value) {
    const auto* level = log::level_from_string(value);
    if (!level) return fail(EINVAL, "log level '{}' is none of error, warning, notice, info, debug", value);
    options.log_level = *level;
    return {};
}

struct ConfigReader {
    Options& options;
    std::string path;
    Status status;
};

int on_entry(void* user, const char* section, const char* name, const char* value) {
    auto& reader = *static_cast<ConfigReader*>(user);
    std::string_view key = name;
    Status done;
    if (std::string_view(section) != "NamespaceResource")
        log::warning("{}: section [{}] is unknown", reader.path, section);
    else if (key == "Enforcement")
        done = set_enforcement(reader.options, value);
    else if (key == "LogLevel")
        done = set_log_level(reader.options, value);
    else
        log::warning("{}: {}= is unknown", reader.path, key);
    if (!done && reader.status) reader.status = Failure(std::move(done).error().within(reader.path));
    return 1;
}

Status read_config_file(Options& options, const std::string& path) {
    ConfigReader reader{options, path, {}};
    int line = ini_parse(path.c_str(), on_entry, &reader);
    if (line > 0) return fail(EINVAL, "{}: line {} is no 'Key=value'", path, line);
    return std::move(reader.status);
}

// The file itself, then those of its .d directory in the order of their names: the last word counts.
Status read_config(Options& options) {
    TRY(read_config_file(options, options.config));
    auto names = sys::list_directory(sys::kCwd, options.config + ".d");
    if (!names) return {};
    std::ranges::sort(*names);
    for (const auto& name : *names)
        if (name.ends_with(".conf")) TRY(read_config_file(options, options.config + ".d/" + name));
    return {};
}

constexpr struct option kLongOptions[] = {
    {"runtime-dir", required_argument, nullptr, 'r'}, {"state-dir", required_argument, nullptr, 's'},
    {"config", required_argument, nullptr, 'c'},      {"enforcement", required_argument, nullptr, 'e'},
    {"log-level", required_argument, nullptr, 'l'},   {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'v'},           {nullptr, 0, nullptr, 0}};

Status require_absolute(std::string_view option, const std::string& path) {
    if (!path.starts_with('/')) return fail(EINVAL, "--{}= takes an absolute path", option);
    return {};
}

}  // namespace

Result<Options> parse_options(int argc, char** argv) {
    Options options;
    std::optional<std::string> enforcement, log_level;
    optind = 1;
    for (int option = 0; (option = getopt_long(argc, argv, "h", kLongOptions, nullptr)) != -1;) switch (option) {
            case 'r':
                options.runtime_dir = optarg;
                break;
            case 's':
                options.state_dir = optarg;
                break;
            case 'c':
                options.config = optarg;
                break;
            case 'e':
                enforcement = optarg;
                break;
            case 'l':
                log_level = optarg;
                break;
            case 'h':
                options.action = Options::Action::kHelp;
                return options;
            case 'v':
                options.action = Options::Action::kVersion;
                return options;
            default:
                return fail(EINVAL, "see 'nsresourced --help'");
        }
    if (optind < argc) return fail(EINVAL, "'{}' is one argument too many", argv[optind]);
    TRY(require_absolute("runtime-dir", options.runtime_dir));
    TRY(require_absolute("state-dir", options.state_dir));
    TRY(read_config(options));
    if (enforcement) TRY(set_enforcement(options, *enforcement));
    if (log_level) TRY(set_log_level(options, *log_level));
    return options;
}

std::string_view usage() {
    return "nsresourced [OPTION…]\n\n"
           "Hands out user-namespace resources over io.systemd.NamespaceResource.\n\n"
           "  --runtime-dir=DIR   where the socket and the registry are (/run/systemd)\n"
           "  --state-dir=DIR     what outlives a boot (/var/lib/nsresource)\n"
           "  --config=FILE       configuration, with FILE.d/*.conf (/etc/nsresourced.conf)\n"
           "  --enforcement=LEVEL auto, enforce, quarantine, none or refuse\n"
           "  --log-level=LEVEL   error, warning, notice, info or debug\n"
           "  --version, --help\n";
}

}  // namespace nsr::manager
