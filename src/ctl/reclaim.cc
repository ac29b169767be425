// SPDX-License-Identifier: LGPL-2.1-or-later
#include <unistd.h>
#include <filesystem>

#include <boost/json.hpp>

#include "base/log.h"
#include "base/sys.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/progress.h"
#include "ctl/reclaim_report.h"
#include "ctl/verbs.h"
#include "registry/json_text.h"

namespace nsr::ctl {

namespace {

constexpr size_t kMaxStatusSize = 64 * 1024;

// At the level `none` used ranges are handed out anew all the time, and nobody notes which.
Status refuse_level_none(const std::string& runtime_dir) {
    auto text = sys::read_file_at(sys::kCwd, runtime_dir + "/nsresource/status", kMaxStatusSize);
    if (!text && text.error().code() == ENOENT) return {};
    if (!text) return Failure(std::move(text).error());
    auto status = TRY_WITHIN("status file", registry::parse_object(*text, {}));
    const auto* level = status.if_contains("enforcement");
    if (level && level->is_string() && std::string_view(level->get_string()) == "none")
        return fail(EBUSY, "the service runs at the level none, which uses ranges again without asking; stop it first");
    return {};
}

Result<reclaim::Ledger> open_ledger(const ReclaimVerb& verb) {
    auto ledger = reclaim::Ledger::open(verb.runtime_dir, verb.state_dir);
    if (!ledger && ledger.error().code() == ENOENT)
        return fail(ENOENT, "no used ranges are recorded here ({}); see --state-dir and --runtime-dir",
                    ledger.error().what());
    return ledger;
}

}  // namespace

Result<int> reclaim(const Setting& setting, const ReclaimVerb& verb) {
    if (::geteuid() != 0) return fail(EPERM, "only root can reclaim ranges: everything has to be looked at");
    const std::string runtime_dir = std::filesystem::absolute(verb.runtime_dir);  // for when we are in the root
    TRY(refuse_level_none(runtime_dir));
    auto ledger = TRY(open_ledger(verb));
    bool frees = verb.change == ReclaimVerb::Change::kFree;
    bool all = verb.paths.empty() || verb.others == ReclaimVerb::Others::kTrusted;

    bool shown = verb.progress == ReclaimVerb::Progress::kAlways || ::isatty(STDERR_FILENO) == 1;
    Status listened;
    auto survey = [&]() -> Result<reclaim::Survey> {
        ProgressLine line(shown ? ProgressLine::Wanted::kYes : ProgressLine::Wanted::kNo);
        reclaim::SurveyRequest request{.paths = verb.paths, .progress = [&](const std::string& what, uint64_t inodes) {
                                           line.show(fmt::format("{:>10} inodes; {}", inodes, what));
                                           if (listened) listened = ledger.listen();
                                       }};
        auto found = TRY(reclaim::survey(request));
        if (frees && all) {
            line.show("waiting for calls that were under way at the start");
            TRY(ledger.wait_for_calls());
        }
        return found;
    }();
    if (!survey) return Failure(std::move(survey).error());
    TRY(std::move(listened));
    TRY(refuse_level_none(runtime_dir));
    using enum reclaim::Ledger::Change;
    auto outcome = TRY(ledger.settle(survey->findings, !frees ? kNone : all ? kFree : kMark));
    if (!all) outcome.freed.clear();
    ReclaimReport report{verb, *survey, outcome, ledger};
    auto text = setting.json == JsonMode::kOff ? to_text(report) : json_text(to_json(report), setting.json);
    TRY(print(setting, text));
    return survey->findings.problems().empty() ? kDone : kFailed;
}

}  // namespace nsr::ctl
