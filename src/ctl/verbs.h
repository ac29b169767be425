// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include "base/result.h"
#include "ctl/options.h"

/// One function a verb, in a file of its name. Each gives the exit status of the tool, or an Error for standard error.
namespace nsr::ctl {

/// Makes a user namespace of this very process, has a range allocated for it, and becomes the command, so that exit
/// status and signals are the command's own. 127: there is no such command; 126: it cannot be executed.
Result<int> run(const Setting& setting, const RunVerb& verb);
/// Gives a user namespace that is there already a name, and prints it.
Result<int> register_namespace(const Setting& setting, const RegisterVerb& verb);
Result<int> list(const Setting& setting, const ListVerb& verb);
Result<int> show(const Setting& setting, const ShowVerb& verb);
/// kFailed where the service does not answer.
Result<int> status(const Setting& setting, const StatusVerb& verb);
/// Frees used ranges of which nothing is left (doc/decisions/reclaim.md). kFailed where something could not be looked
/// at.
Result<int> reclaim(const Setting& setting, const ReclaimVerb& verb);

}  // namespace nsr::ctl
