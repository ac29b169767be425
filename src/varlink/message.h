// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/json.hpp>

#include "base/fd.h"
#include "base/result.h"

/// Varlink messages: what is read from and written to a connection (interface.md section 1, Messages).
namespace nsr::varlink {

namespace json = boost::json;

/// One call, as it was sent.
struct Request {
    enum class Mode { kPlain, kOneway, kMore, kUpgrade };

    std::string method;
    json::object parameters;
    /// The name of a parameter that was sent twice, if any: a complaint about the call, not about the message.
    std::optional<std::string> duplicate_parameter;
    Mode mode = Mode::kPlain;
    std::vector<UniqueFd> fds;
};

/// A call that succeeded.
struct Reply {
    json::object parameters;
    std::vector<UniqueFd> fds;
};

/// A call that was refused: the full name of a varlink error, and its parameters.
struct Fault {
    std::string error;
    json::object parameters;
};

using Outcome = std::variant<Reply, Fault>;

/// What a client gets back. `error` is empty where the call succeeded.
struct CallResult {
    std::string error;
    json::object parameters;
    std::vector<UniqueFd> fds;
};

/// Reads the text of one message (without its NUL; see Reader) as a call. EBADMSG with a sentence that names the reason
/// where interface.md section 1 says that it is not a valid message; nesting is allowed to a depth of 1024. The fields
/// `fds` stay empty. Size is the Reader's business.
Result<Request> parse_request(std::string_view text);

/// The same for the answer to a call that did not ask for `more`.
Result<CallResult> parse_reply(std::string_view text);

/// Texts of messages, ended by one NUL.
std::string serialize_request(const Request& request);
std::string serialize_reply(const Reply& reply);
std::string serialize_fault(const Fault& fault);
std::string serialize_outcome(const Outcome& outcome);

}  // namespace nsr::varlink
