// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/options.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <CLI/CLI.hpp>

#include "base/log.h"

namespace nsr::ctl {

namespace {

constexpr const char* kDefaultSocket = "/run/systemd/io.systemd.NamespaceResource";

const std::map<std::string, JsonMode> kJsonModes{
    {"off", JsonMode::kOff}, {"short", JsonMode::kShort}, {"pretty", JsonMode::kPretty}};

/// What CLI11 writes into while it parses.
struct Target {
    Setting setting;
    RunVerb run;
    ShowVerb show;
    CLI::App* run_verb = nullptr;
    CLI::App* list_verb = nullptr;
    CLI::App* show_verb = nullptr;
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

void describe_verbs(CLI::App& app, Target& target) {
    target.run_verb =
        app.add_subcommand("run", "Run a command as root of a new user namespace: run [OPTIONS] -- COMMAND");
    target.run_verb
        ->add_option_function<std::string>(
            "--size",
            [&target](const std::string& text) {
                if (text != "1" && text != "65536") throw CLI::ValidationError("--size", "it is 65536 or 1");
                target.run.size = text == "1" ? 1 : 65536;
            },
            "How many ids: 65536 (default) or 1")
        ->type_name("COUNT");
    target.run_verb
        ->add_option("--name", target.run.name, "Name of the namespace (default: made of command and process id)")
        ->type_name("NAME");
    target.list_verb = app.add_subcommand("list", "List the namespaces that the service knows");
    target.show_verb = app.add_subcommand("show", "Show one of them, by its name or by a uid of its range");
    target.show_verb->add_option("NAME|UID", target.show.what)->required();
    app.add_subcommand("status", "Show how the service is doing");
}

Finished wrong_usage(std::string_view why) {
    log::error("{}; see nsresourcectl --help", why);
    return {kWrongUsage};
}

/// Where "--" is, or the end.
int end_of_options(int argc, const char* const* argv) {
    return static_cast<int>(std::find(argv, argv + argc, std::string_view("--")) - argv);
}

}  // namespace

std::string Setting::resource_directory() const {
    auto slash = socket.rfind('/');
    return (slash == std::string::npos ? std::string(".") : socket.substr(0, slash)) + "/nsresource";
}

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

    if (!app.got_subcommand(target.run_verb)) {
        if (end != argc) return wrong_usage("only run takes a command after --");
        if (app.got_subcommand(target.list_verb)) return Options{target.setting, ListVerb{}};
        if (app.got_subcommand(target.show_verb)) return Options{target.setting, target.show};
        return Options{target.setting, StatusVerb{}};
    }
    if (end < argc) target.run.command.assign(argv + end + 1, argv + argc);
    if (target.run.command.empty()) return wrong_usage("run needs a command, after --");
    return Options{target.setting, target.run};
}

}  // namespace nsr::ctl
