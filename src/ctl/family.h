// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "registry/delegation.h"
#include "registry/registration.h"

/// Which registration lives on what another one handed down. All of it is read from files that may contradict each
/// other, since the service goes on changing them.
namespace nsr::ctl {

/// Where a relative is looked for.
struct Kin {
    std::function<std::optional<registry::Delegation>(Uid start)> delegation_at;
    std::function<bool(NsInode)> is_registered;
};

/// The namespace that holds the delegated range which this one has as its own, or from which this one was handed
/// ranges to hand on: the nearest that is registered.
std::optional<NsInode> parent_of(const registry::Registration& registration, const Kin& kin);

/// The same for all of a list, without circles.
std::vector<std::optional<NsInode>> parents_of(std::span<const registry::Registration> registrations,
                                               std::span<const registry::Delegation> delegations);

enum class Branches { kAscii, kUnicode };
/// What the terminal can show, by the locale of the environment (locale(7)).
Branches branches_of_locale();

/// A line of the tree: which registration, and what is drawn in front of it.
struct TreeLine {
    size_t index;
    std::string branch;
};
/// Each one once, children below their parents, otherwise in the order of the list.
std::vector<TreeLine> tree_lines(std::span<const registry::Registration> registrations,
                                 std::span<const std::optional<NsInode>> parents, Branches branches);

}  // namespace nsr::ctl
