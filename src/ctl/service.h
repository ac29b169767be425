// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>

#include "base/result.h"
#include "ctl/options.h"
#include "varlink/client.h"

namespace nsr::ctl {

/// Connects to the service; the error names the remedy where there is one.
Result<varlink::Client> connect(const Setting& setting);

/// What a varlink error means for the person at the keyboard, as one sentence with the remedy where there is one.
/// `refusal` is hostile text.
std::string explain(const varlink::CallResult& refusal);

}  // namespace nsr::ctl
