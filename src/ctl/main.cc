// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/log.h"
#include "ctl/verbs.h"

namespace {

using namespace nsr;

struct CarryOut {
    const ctl::Setting& setting;

    Result<int> operator()(const ctl::RunVerb& verb) const { return ctl::run(setting, verb); }
    Result<int> operator()(const ctl::RegisterVerb& verb) const { return ctl::register_namespace(setting, verb); }
    Result<int> operator()(const ctl::ListVerb& verb) const { return ctl::list(setting, verb); }
    Result<int> operator()(const ctl::ShowVerb& verb) const { return ctl::show(setting, verb); }
    Result<int> operator()(const ctl::StatusVerb& verb) const { return ctl::status(setting, verb); }
    Result<int> operator()(const ctl::ReclaimVerb& verb) const { return ctl::reclaim(setting, verb); }
};

}  // namespace

int main(int argc, char** argv) {
    log::open("nsresourcectl", log::Level::kWarning);
    auto parsed = ctl::parse_options(argc, argv);
    if (const auto* finished = std::get_if<ctl::Finished>(&parsed)) return finished->exit_status;

    const auto& options = std::get<ctl::Options>(parsed);
    auto exit_status = std::visit(CarryOut{options.setting}, options.verb);
    if (exit_status) return *exit_status;
    log::error("{}", exit_status.error().what());
    return ctl::kFailed;
}
