// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstdlib>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "manager/instance.h"
#include "manager/options.h"

int main(int argc, char** argv) try {
    using namespace nsr;
    log::open("nsresourced", log::Level::kInfo);
    auto options = manager::parse_options(argc, argv);
    if (!options) {
        log::error("{}", options.error().what());
        return 2;
    }
    if (options->action == manager::Options::Action::kHelp) fmt::print("{}", manager::usage());
    if (options->action == manager::Options::Action::kVersion) fmt::print("nsresourced {}\n", NSR_VERSION);
    if (options->action != manager::Options::Action::kRun) return EXIT_SUCCESS;
    log::set_level(options->log_level);
    auto ended = manager::run_instance(*options);
    if (ended) return *ended;
    log::error("{}", ended.error().what());
    return EXIT_FAILURE;
} catch (const std::exception& exception) {
    nsr::log::error("{}", exception.what());
    return EXIT_FAILURE;
}
