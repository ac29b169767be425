// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/kernel_side.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <ctime>

#include <fmt/ranges.h>

#include "base/log.h"
#include "base/shortage.h"
#include "lifecycle/policy_entries.h"
#include "policy/proof.h"
#include "registry/file_name.h"

namespace nsr::manager {

namespace {

using policy::KernelPolicy;
using policy::Level;
using policy::Scope;

Status to_status(const Result<KernelPolicy>& policy) {
    return policy ? Status() : Status(Failure(Error(policy.error())));
}

void log_choice(const policy::Choice& choice) {
    bool is_risky = choice.level == Level::kNone || choice.level == Level::kRefuse;
    log::write(is_risky ? log::Level::kWarning : log::Level::kNotice,
               fmt::format("Enforcement: {} ({})", policy::level_to_string(choice.level), choice.reason));
}

// A kernel that cannot do it is nothing to report; one that was short of something at this moment is.
void log_deafness(const Error& error) {
    if (is_shortage(error.code()))
        log::warning(
            "Until the next start the kernel does not tell of dead user namespaces, which are found later, if "
            "at all: {}",
            error.what());
    else
        log::debug("The kernel sends no word of dead namespaces: {}", error.what());
}

}  // namespace

KernelSide KernelSide::set_up(const Options& options) {
    KernelSide side;
    side.wanted_ = options.enforcement;
    policy::remove_old_trials(options.runtime_dir + "/nsresource");
    bool is_wanted = !options.enforcement || *options.enforcement == Level::kEnforce;
    Status enforceable = fail(ECANCELED, "it is not asked for");
    if (is_wanted) {
        auto policy = retry_shortage([&] { return KernelPolicy::load(options.runtime_dir, Scope::kAll); });
        enforceable = policy ? side.prove(*policy, options.runtime_dir) : to_status(policy);
        if (!enforceable) side.pulse_.reset();
        if (policy && !enforceable)
            if (auto removed = policy->remove_new_policy(); !removed) log::warning("{}", removed.error().what());
        if (policy) side.policy_ = std::move(*policy);
    }
    side.choice_ = policy::choose_level(options.enforcement, enforceable);
    // Word of deaths is worth having at every level.
    if (!side.policy_ && side.choice_.level != Level::kRefuse) {
        auto policy = retry_shortage([&] { return KernelPolicy::load(options.runtime_dir, Scope::kDeaths); });
        if (!policy) log_deafness(policy.error());
        if (policy) side.policy_ = std::move(*policy);
    }
    if (side.choice_.level == Level::kEnforce && side.policy_->form() == policy::Form::kFunction)
        side.choice_.reason +=
            "; under preemption it may be left out of a call, and keeps the ranges of that time back: "
            "bpf among lsm= would mend that";
    log_choice(side.choice_);
    for (const auto& program : side.missing()) {
        if (program.leaves_open.empty()) continue;
        log::warning("Not enforced on this kernel, which has no {}: {}", program.target, program.leaves_open);
    }
    return side;
}

// A policy that may miss calls which nobody can count is none.
Status KernelSide::prove(KernelPolicy& policy, const std::string& runtime_dir) {
    auto entries = TRY(policy.entries());
    std::string own = runtime_dir + "/nsresource";
    // By the registry, too: the entries may have got lost.
    auto is_free = [&](Uid id) {
        return access(fmt::format("{}/registry/{}", own, registry::start_file(id)).c_str(), F_OK) < 0;
    };
    TRY(policy::prove_enforcement(entries, own, is_free));
    pulse_ = TRY(policy::Pulse::create(policy.beats()));
    missed_calls_ = TRY(policy.missed_calls());
    TRY(missed_calls_.count());
    began_in_gap_ = TRY(entries.is_in_gap());
    return entries.end_gap();
}

// What other programs have missed is not what these count.
bool KernelSide::was_enforced() const {
    return policy_ && policy_->was_enforced() && !began_in_gap_ &&
           (!missed_calls_.are_possible() || !policy_->is_new());
}

Result<std::vector<std::string_view>> KernelSide::silent_families() const {
    return pulse_ ? pulse_->silent() : std::vector<std::string_view>();
}

void KernelSide::begin_gap(const std::vector<std::string_view>& silent) {
    gap_ = Gap{.begin = time(nullptr), .what = fmt::format("{}", fmt::join(silent, ", "))};
    choice_without_gap_ = choice_;
    if (choice_.level != Level::kEnforce) return;
    choice_ = policy::choose_level(
        wanted_, fail(ECANCELED, "the kernel does not run the programs that are attached, for {}", gap_->what));
}

void KernelSide::end_gap() {
    gap_->end = time(nullptr);
    choice_ = choice_without_gap_;
}

Result<policy::Entries> KernelSide::entries() const { return policy_ ? policy_->entries() : policy::Entries(); }

std::vector<policy::Program> KernelSide::missing() const {
    return policy_ ? policy_->missing() : std::vector<policy::Program>();
}

void KernelSide::finish_exchange() {
    if (!policy_) return;
    bool enforces = choice_.level == Level::kEnforce;
    auto removed = policy_->remove_others(enforces ? KernelPolicy::OldPolicy::kRemove : KernelPolicy::OldPolicy::kKeep);
    if (!removed) log::warning("Kernel programs of an earlier version stay: {}", removed.error().what());
}

Reaper::Senses KernelSide::senses(const lifecycle::Instance& context) const {
    if (!policy_ && !context.prober.works()) return {};
    Reaper::Senses senses{.life = [&context](const NsIdentity& id) { return lifecycle::life_of(context, id); }};
    // What the kernel programs have marked needs no proof.
    if (policy_)
        senses.word = Reaper::Word::kOfEachDeath;
    else
        senses.verify = [&context] { return context.prober.verify(); };
    return senses;
}

Result<Source> KernelSide::ring(EventLoop& loop, Reaper& reaper) const {
    if (!policy_) return Source();
    auto bell = std::make_shared<policy::DeathBell>(TRY(policy::DeathBell::create(policy_->deaths(), policy_->lost())));
    return loop.watch_fd(bell->fd(), EPOLLIN, [bell, &reaper] {
        auto toll = bell->read();
        reaper.hear(toll.namespaces);
        if (toll.some_are_missing) reaper.sweep();
    });
}

void KernelSide::leave(const policy::Entries& entries) const {
    if (!policy_) return;
    auto empty = entries.are_empty();
    if (!empty || !*empty) return;
    if (auto removed = policy_->remove_all(); !removed) log::warning("{}", removed.error().what());
}

}  // namespace nsr::manager
