// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ctl/options.h"
#include "varlink/client.h"

namespace nsr::ctl {

/// Connects to the service; the error names the remedy where there is one.
Result<varlink::Client> connect(const Setting& setting);

/// Calls `io.systemd.NamespaceResource.<method>`, and waits as long as a person may need to answer a question of
/// polkit. A refusal is an answer with an error.
Result<varlink::CallResult> ask(varlink::Client& client, std::string_view method, varlink::json::object parameters,
                                std::span<const UniqueFd> fds);
/// The same, but a refusal is an Error with explain()'s sentence.
Result<varlink::CallResult> call(varlink::Client& client, std::string_view method, varlink::json::object parameters,
                                 std::span<const UniqueFd> fds);

/// The value of a string field of an answer, which is hostile text: EPROTO where it is none.
Result<std::string> string_in(const varlink::CallResult& answer, std::string_view field);

/// What a varlink error means for the person at the keyboard, as one sentence with the remedy where there is one.
/// `refusal` is hostile text.
std::string explain(const varlink::CallResult& refusal);

}  // namespace nsr::ctl
