// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/options.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "ctl/reclaim_options.h"

namespace nsr::ctl {

namespace {

constexpr const char* kDefaultSocket = "/run/systemd/io.systemd.NamespaceResource";

const std::map<std::string, JsonMode> kJsonModes{
    {"off", JsonMode::kOff}, {"short", JsonMode::kShort}, {"pretty", JsonMode::kPretty}};

/// What CLI11 writes into while it parses.
struct Target {
    Setting setting;
    RunVerb run;
    std::optional<uint32_t> size;
    RegisterVerb registered;
    ShowVerb show;
    ReclaimVerb reclaim;
    CLI::App* run_verb = nullptr;
    CLI::App* register_verb = nullptr;
    CLI::App* list_verb = nullptr;
    CLI::App* show_verb = nullptr;
    CLI::App* reclaim_verb = nullptr;
};

void describe_global(CLI::App& app, Target& target) {
    target.setting.socket = kDefaultSocket;
    app.add_option("--socket", target.setting.socket, "Socket of the service")
        ->type_name("PATH")
        ->take_last()
        ->capture_default_str();
    app.add_option_function<std::string>(
           "--json",
           [&target](const std::string& text) {
               auto mode = kJsonModes.find(text);
               if (mode == kJsonModes.end()) throw CLI::ValidationError("--json", "it is short, pretty or off");
               target.setting.json = mode->second;
           },
           "Print JSON for programs: short, pretty or off")
        ->type_name("MODE")
        ->take_last();
    app.add_flag_callback(
        "--no-pager", [&target] { target.setting.paging = Paging::kNever; }, "Do not use a pager on a terminal");
    app.set_version_flag("--version", "nsresourcectl " NSR_VERSION, "Print the version");
    app.set_help_flag("-h,--help", "Print this help");
    app.require_subcommand(1);
    app.fallthrough();
}

/// A plain decimal number, no larger than `max`.
uint32_t to_number(const char* option, const std::string& text, uint32_t max) {
    uint32_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number > max)
        throw CLI::ValidationError(option, fmt::format("it is a number from 0 to {}", max));
    return number;
}

void describe_range(CLI::App& verb, Target& target) {
    auto add = [&verb](const char* option, const std::function<void(const std::string&)>& take, const char* text) {
        return verb.add_option_function(option, take, text);
    };
    add(
        "--size",
        [&target](const std::string& text) {
            if (text != "1" && text != "65536") throw CLI::ValidationError("--size", "it is 65536 or 1");
            target.size = text == "1" ? 1 : 65536;
        },
        "How many ids: 65536 (default) or 1")
        ->type_name("COUNT");
    verb.add_option("--name", target.run.name, "Name of the namespace (default: made of command and process id)")
        ->type_name("NAME");
    add(
        "--type",
        [&target](const std::string& text) {
            if (text != "managed" && text != "self") throw CLI::ValidationError("--type", "it is managed or self");
            target.run.type = text == "self" ? RangeType::kSelf : RangeType::kManaged;
        },
        "managed: a range of its own (default); self: your own user and group id only")
        ->type_name("TYPE");
    add(
        "--target", [&target](const std::string& text) { target.run.target = to_number("--target", text, 4294967294); },
        "First id inside, which the command gets (default: 0, root); with --type=self 0 or your own uid")
        ->type_name("ID");
    add(
        "--delegate", [&target](const std::string& text) { target.run.delegates = to_number("--delegate", text, 16); },
        "Further ranges of 65536, for namespaces below: 0 (default) to 16")
        ->type_name("COUNT");
    verb.add_flag_callback(
        "--map-foreign", [&target] { target.run.foreign = Foreign::kMapped; }, "Map the ids of foreign images, too");
}

void describe_resources(CLI::App& verb, Target& target) {
    verb.add_option_function<std::vector<std::string>>(
            "--network",
            [&network = target.run.network](const std::vector<std::string>& links) {
                for (const auto& link : links) {
                    if (link != "veth" && link != "tap") throw CLI::ValidationError("--network", "it is veth or tap");
                    if (std::ranges::count(links, link) > 1)
                        throw CLI::ValidationError("--network", "there is one veth and one tap at most");
                    if (link == "veth") network.veth = Network::Veth::kOne;
                    if (link == "tap") network.tap = Network::Tap::kOne;
                }
            },
            "veth: a network namespace with an interface host0; tap: a tap interface, whose descriptor the command "
            "finds "
            "in $NSRESOURCE_TAP_FD, and whose name on the host in $NSRESOURCE_TAP_NAME; may be given twice, for both")
        ->type_name("veth|tap")
        ->allow_extra_args(false);
    verb.add_option_function<std::string>(
            "--control-group",
            [&target](const std::string& path) {
                target.run.control_group = ControlGroup{};
                if (!path.empty()) target.run.control_group->path = path;
            },
            "Run in a new cgroup below your own one, or in the one at PATH, which then belongs to the namespace and is "
            "removed with it")
        ->type_name("[=PATH]")
        ->expected(0, 1);
}

void describe_verbs(CLI::App& app, Target& target) {
    target.run_verb =
        app.add_subcommand("run", "Run a command as root of a new user namespace: run [OPTIONS] -- COMMAND");
    describe_range(*target.run_verb, target);
    describe_resources(*target.run_verb, target);
    target.register_verb =
        app.add_subcommand("register", "Register the user namespace of a process, or at a path, and print its name");
    target.register_verb
        ->add_option("--name", target.registered.name, "Name of the namespace (default: made of process or path)")
        ->type_name("NAME");
    target.register_verb->add_option("PID|PATH", target.registered.what)->required();
    target.list_verb = app.add_subcommand("list", "List the namespaces that the service knows");
    target.show_verb = app.add_subcommand("show", "Show one of them, by its name or by a uid of its range");
    target.show_verb->add_option("NAME|UID", target.show.what)->required();
    app.add_subcommand("status", "Show how the service is doing");
    target.reclaim_verb =
        app.add_subcommand("reclaim", "Look for what used ranges have left behind, and free those that left nothing");
    describe_reclaim(*target.reclaim_verb, target.reclaim);
}

Finished wrong_usage(std::string_view why) {
    log::error("{}; see nsresourcectl --help", why);
    return {kWrongUsage};
}

/// What of `run` can only be judged when all of it has been read.
std::variant<Options, Finished> finish_run(Target& target, std::vector<std::string> command) {
    if (command.empty()) return wrong_usage("run needs a command, after --");
    if (target.run.type == RangeType::kSelf && target.size.value_or(1) != 1)
        return wrong_usage("--type=self is one id, not 65536");
    target.run.size = target.run.type == RangeType::kSelf ? 1 : target.size.value_or(65536);
    target.run.command = std::move(command);
    return Options{target.setting, target.run};
}

std::variant<Options, Finished> finish_reclaim(Target& target) {
    ReclaimVerb& verb = target.reclaim;
    if (verb.others == ReclaimVerb::Others::kTrusted && verb.paths.empty())
        return wrong_usage("--trust-others is for where paths are given");
    if (verb.runtime_dir.empty()) verb.runtime_dir = target.setting.runtime_directory();
    return Options{target.setting, verb};
}

/// Where "--" is, or the end.
int end_of_options(int argc, const char* const* argv) {
    return static_cast<int>(std::find(argv, argv + argc, std::string_view("--")) - argv);
}

}  // namespace

std::string Setting::runtime_directory() const {
    auto slash = socket.rfind('/');
    return slash == std::string::npos ? std::string(".") : socket.substr(0, slash);
}

std::string Setting::resource_directory() const { return runtime_directory() + "/nsresource"; }

std::variant<Options, Finished> parse_options(int argc, const char* const* argv) {
    Target target;
    CLI::App app("Ranges of user and group ids for user namespaces.", "nsresourcectl");
    describe_global(app, target);
    describe_verbs(app, target);
    const int end = end_of_options(argc, argv);
    try {
        app.parse(end, argv);
    } catch (const CLI::ParseError& outcome) {
        if (outcome.get_exit_code() == 0) return Finished{app.exit(outcome)};  // a text that was asked for
        return wrong_usage(outcome.what());
    }

    if (app.got_subcommand(target.run_verb)) return finish_run(target, {argv + std::min(end + 1, argc), argv + argc});
    if (end != argc) return wrong_usage("only run takes a command after --");
    if (app.got_subcommand(target.register_verb)) return Options{target.setting, target.registered};
    if (app.got_subcommand(target.list_verb)) return Options{target.setting, ListVerb{}};
    if (app.got_subcommand(target.show_verb)) return Options{target.setting, target.show};
    if (app.got_subcommand(target.reclaim_verb)) return finish_reclaim(target);
    return Options{target.setting, StatusVerb{}};
}

}  // namespace nsr::ctl
