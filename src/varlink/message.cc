// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/message.h"

#include <algorithm>
#include <utility>

#include "varlink/envelope.h"

namespace nsr::varlink {

namespace {

constexpr std::string_view kRequestFlags[] = {"oneway", "more", "upgrade"};
constexpr Request::Mode kModes[] = {Request::Mode::kOneway, Request::Mode::kMore, Request::Mode::kUpgrade};
constexpr EnvelopeFields kRequestFields{"method", kRequestFlags};

constexpr std::string_view kReplyFlags[] = {"continues"};
constexpr EnvelopeFields kReplyFields{"error", kReplyFlags};

/// A string in JSON, with what is to come before it.
void append_string(std::string& text, std::string_view before, std::string_view value) {
    text += before;
    text += json::serialize(json::string_view(value.data(), value.size()));
}

/// Ends the message.
std::string with_parameters(std::string text, std::string_view before, const json::object& parameters) {
    text += before;
    text += json::serialize(parameters);
    text += '}';
    text += '\0';
    return text;
}

}  // namespace

Result<Request> parse_request(std::string_view text) {
    Envelope envelope = TRY(parse_envelope(text, kRequestFields));
    if (!envelope.name) return fail(EBADMSG, "not a valid message: no method");
    if (std::ranges::count(envelope.flags, true) > 1)
        return fail(EBADMSG, "not a valid message: more than one of oneway, more and upgrade");
    Request request;
    request.method = *std::move(envelope.name);
    request.parameters = std::move(envelope.parameters);
    request.duplicate_parameter = std::move(envelope.duplicate_parameter);
    for (size_t i = 0; i < std::size(kModes); i++)
        if (envelope.flags[i]) request.mode = kModes[i];
    return request;
}

Result<CallResult> parse_reply(std::string_view text) {
    Envelope envelope = TRY(parse_envelope(text, kReplyFields));
    if (envelope.duplicate_parameter) return fail(EBADMSG, "not a valid reply: a parameter that comes twice");
    if (envelope.flags[0]) return fail(EBADMSG, "not a valid reply: more replies than were asked for");
    if (envelope.name && envelope.name->empty()) return fail(EBADMSG, "not a valid reply: an error without a name");
    CallResult result;
    if (envelope.name) result.error = *std::move(envelope.name);
    result.parameters = std::move(envelope.parameters);
    return result;
}

std::string serialize_request(const Request& request) {
    std::string text;
    append_string(text, "{\"method\":", request.method);
    for (size_t i = 0; i < std::size(kModes); i++)
        if (request.mode == kModes[i]) text += fmt::format(",\"{}\":true", kRequestFlags[i]);
    return with_parameters(std::move(text), ",\"parameters\":", request.parameters);
}

std::string serialize_reply(const Reply& reply) { return with_parameters({}, "{\"parameters\":", reply.parameters); }

std::string serialize_fault(const Fault& fault) {
    std::string text;
    append_string(text, "{\"error\":", fault.error);
    return with_parameters(std::move(text), ",\"parameters\":", fault.parameters);
}

std::string serialize_outcome(const Outcome& outcome) {
    if (const Reply* reply = std::get_if<Reply>(&outcome)) return serialize_reply(*reply);
    return serialize_fault(std::get<Fault>(outcome));
}

}  // namespace nsr::varlink
