// SPDX-License-Identifier: LGPL-2.1-or-later
#include "authority/authority.h"

#include <limits>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::authority {

namespace {

// org.freedesktop.PolicyKit1.Authority, as in polkit's reference manual. Only root and polkit's own user may have that
// name on the system bus, and the bus passes on no reply but that of the one who was asked: an answer is polkit's.
constexpr const char* kService = "org.freedesktop.PolicyKit1";
constexpr const char* kPath = "/org/freedesktop/PolicyKit1/Authority";
constexpr const char* kInterface = "org.freedesktop.PolicyKit1.Authority";

Status good(int r) {
    if (r >= 0) return {};
    return fail_errno(-r, "making a question for polkit");
}

bool is_error(const Message& reply, const char* name) { return sd_bus_message_is_method_error(reply.get(), name) > 0; }

Status append_details(sd_bus_message* message, std::span<const Detail> details) {
    TRY(good(sd_bus_message_open_container(message, 'a', "{ss}")));
    for (const Detail& detail : details) {
        // It would be cut off there, and rules would judge another value than the one that is acted upon.
        if (detail.value.find('\0') != std::string::npos) return fail(EINVAL, "a detail for polkit has a NUL byte");
        TRY(good(sd_bus_message_append(message, "{ss}", detail.key, detail.value.c_str())));
    }
    return good(sd_bus_message_close_container(message));
}

Result<Verdict> read_verdict(const Message& reply) {
    if (const sd_bus_error* error = sd_bus_message_get_error(reply.get()))
        return fail(EIO, "polkit does not answer: {} ({})", error->message ? error->message : "no reason given",
                    error->name);
    int authorized = 0;
    int challenge = 0;
    // The details that follow in the reply are for programs that show dialogs.
    if (sd_bus_message_has_signature(reply.get(), "(bba{ss})") <= 0 ||
        sd_bus_message_enter_container(reply.get(), 'r', "bba{ss}") <= 0 ||
        sd_bus_message_read(reply.get(), "bb", &authorized, &challenge) <= 0)
        return fail(EIO, "polkit answers with something else than a decision");
    return authorized ? Verdict::kAllowed : Verdict::kDenied;
}

// A caller that cannot be told for certain from another process is refused; only what has nothing to do with it is an
// error.
Result<Verdict> judge_unknown(const Error& error, Action action, Uid uid) {
    if (error.code() != ESRCH && error.code() != EPERM) return Failure(error);
    log::debug("{} is denied to uid {}: {}", action.id, uid, error.what());
    return Verdict::kDenied;
}

}  // namespace

Result<Verdict> Authority::check(const Caller& caller, Action action, std::span<const Detail> details,
                                 uint64_t deadline_usec) {
    if (caller.uid == Uid(0)) return Verdict::kAllowed;
    if (TRY(connect(deadline_usec)) == Presence::kNone) return Verdict::kAllowed;

    auto process = Process::behind(caller.socket, caller.pid, caller.uid);
    if (!process) return judge_unknown(process.error(), action, caller.uid);
    auto verdict = ask(*process, caller.uid, action, details, deadline_usec);
    // Whatever state a connection is in after this, the next question shall not suffer from it.
    if (!verdict) bus_.reset();
    if (!verdict || *verdict == Verdict::kDenied) return verdict;

    // A polkit that knows no pidfd looked at /proc/<pid>: at this process, if it is alive still.
    auto alive = process->require_alive();
    return alive ? verdict : judge_unknown(alive.error(), action, caller.uid);
}

Result<Authority::Presence> Authority::connect(uint64_t deadline_usec) {
    if (bus_ && bus_->is_usable()) return Presence::kThere;
    bus_.reset();
    bus_ = TRY(Bus::open(deadline_usec));
    return bus_ ? Presence::kThere : Presence::kNone;
}

Result<Verdict> Authority::ask(const Process& process, Uid uid, Action action, std::span<const Detail> details,
                               uint64_t deadline_usec) {
    PidFd pidfd = sd_bus_can_send(bus_->get(), SD_BUS_TYPE_UNIX_FD) > 0 ? PidFd::kSent : PidFd::kLeftOut;
    Message message = TRY(question(process, uid, action, details, pidfd));
    Message reply = TRY(bus_->call(message.get(), deadline_usec));
    // What the bus says where the one who is asked takes no descriptors.
    if (pidfd == PidFd::kSent && is_error(reply, SD_BUS_ERROR_NOT_SUPPORTED)) {
        message = TRY(question(process, uid, action, details, PidFd::kLeftOut));
        reply = TRY(bus_->call(message.get(), deadline_usec));
    }
    // No polkit, and nothing installed by which the bus could start one.
    if (is_error(reply, SD_BUS_ERROR_SERVICE_UNKNOWN) || is_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
        return Verdict::kAllowed;
    return read_verdict(reply);
}

// polkit before 124 does not know `pidfd`, and overlooks keys that it does not know; later ones prefer it to `pid` and
// `start-time`. `uid` must be int32, else polkit overlooks it too, and takes the uid that the process has now: by
// executing a setuid program after connecting, a caller would get the answer meant for root.
Result<Message> Authority::question(const Process& process, Uid uid, Action action, std::span<const Detail> details,
                                    PidFd pidfd) const {
    if (uid.value > static_cast<uint32_t>(std::numeric_limits<int32_t>::max()))
        return fail(ERANGE, "polkit cannot be asked about uid {}", uid);
    sd_bus_message* raw = nullptr;
    TRY(good(sd_bus_message_new_method_call(bus_->get(), &raw, kService, kPath, kInterface, "CheckAuthorization")));
    Message message(raw);
    // With three entries the fourth's arguments are not looked at.
    TRY(good(sd_bus_message_append(raw, "(sa{sv})", "unix-process", pidfd == PidFd::kSent ? 4 : 3,  //
                                   "pid", "u", static_cast<uint32_t>(process.pid()),                //
                                   "start-time", "t", process.start_time(),                         //
                                   "uid", "i", static_cast<int32_t>(uid.value),                     //
                                   "pidfd", "h", process.pidfd().get())));
    TRY(good(sd_bus_message_append(raw, "s", action.id)));
    TRY(append_details(raw, details));
    constexpr uint32_t kNoInteraction = 0;
    TRY(good(sd_bus_message_append(raw, "us", kNoInteraction, "")));
    return message;
}

}  // namespace nsr::authority
