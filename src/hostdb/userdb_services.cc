// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hostdb/userdb_services.h"

#include <poll.h>
#include <algorithm>
#include <deque>
#include <iterator>
#include <list>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/sys.h"
#include "varlink/client.h"

namespace nsr::hostdb {

namespace {

namespace json = varlink::json;

constexpr std::string_view kNoRecordFound = "io.systemd.UserDatabase.NoRecordFound";
/// It passes each question on to all services, us included, so asking it from here could wait for ourselves.
constexpr std::string_view kMultiplexer = "io.systemd.Multiplexer";
/// Names that are remembered as warned about: whoever may make sockets there must not fill our memory.
constexpr size_t kMaxWarned = 256;

enum class Subject { kId, kAccount };

/// One service while it is being asked: a connection, and what the replies to come are about, in order.
struct Conversation {
    std::string service;
    varlink::Client client;
    std::deque<Subject> expected;
    /// About an answer that made no sense; the others may.
    std::string complaint;
};

Status send_questions(Conversation& conversation, const ranges::HostQuery& query) {
    auto send = [&](std::string_view method, std::string_view key, json::value value, Subject subject) -> Status {
        json::object parameters{{key, std::move(value)}, {"service", conversation.service}};
        conversation.expected.push_back(subject);
        return conversation.client.send(method, std::move(parameters), {}, 0);
    };
    constexpr std::string_view user = "io.systemd.UserDatabase.GetUserRecord";
    constexpr std::string_view group = "io.systemd.UserDatabase.GetGroupRecord";
    if (query.id) {
        TRY(send(user, "uid", query.id->value, Subject::kId));
        TRY(send(group, "gid", query.id->value, Subject::kId));
    }
    if (query.account.empty()) return {};
    TRY(send(user, "userName", json::string(query.account), Subject::kAccount));
    return send(group, "groupName", json::string(query.account), Subject::kAccount);
}

Result<ranges::HostAnswer> understand(const varlink::CallResult& reply, Subject subject) {
    if (reply.error == kNoRecordFound) return ranges::HostAnswer{};
    if (!reply.error.empty()) return fail(EPROTO, "error {}", reply.error);
    const json::value* record = reply.parameters.if_contains("record");
    if (!record || !record->is_object()) return fail(EPROTO, "reply without a record");
    return ranges::HostAnswer{.id_known = subject == Subject::kId, .account_known = subject == Subject::kAccount};
}

/// Takes the replies that are there. Done when none is expected any more.
enum class Progress { kWaiting, kDone };
Result<Progress> take_replies(Conversation& conversation, ranges::HostAnswer& answer) {
    while (!conversation.expected.empty()) {
        std::optional<varlink::CallResult> reply = TRY(conversation.client.try_receive());
        if (!reply) return Progress::kWaiting;
        Subject subject = conversation.expected.front();
        conversation.expected.pop_front();
        Result<ranges::HostAnswer> understood = understand(*reply, subject);
        if (understood)
            answer |= *understood;
        else
            conversation.complaint = understood.error().what();
    }
    return Progress::kDone;
}

Result<size_t> wait_for_any(const std::list<Conversation>& conversations, uint64_t deadline_usec) {
    std::vector<struct pollfd> fds;
    for (const Conversation& conversation : conversations) fds.push_back({conversation.client.fd().get(), POLLIN, 0});
    uint64_t now = sys::now_usec();
    return sys::poll(fds, deadline_usec > now ? deadline_usec - now : 0);
}

}  // namespace

ranges::HostAnswer UserdbServices::ask(const ranges::HostQuery& query, uint64_t deadline_usec) {
    std::list<Conversation> conversations;
    for (const Service& service : current()) {
        auto client = varlink::Client::connect(service.path, 0);
        Status sent = client ? Status() : Status(Failure(client.error()));
        if (client) {
            conversations.push_back({service.name, *std::move(client), {}, {}});
            sent = send_questions(conversations.back(), query);
            if (!sent) conversations.pop_back();
        }
        if (!sent) warn(service.name, sent.error().what());
    }

    ranges::HostAnswer answer;
    for (;;) {
        for (auto it = conversations.begin(); it != conversations.end();) {
            Result<Progress> progress = take_replies(*it, answer);
            if (!progress) it->complaint = progress.error().what();
            if (!it->complaint.empty()) warn(it->service, it->complaint);
            it = progress && *progress == Progress::kWaiting ? std::next(it) : conversations.erase(it);
        }
        if (conversations.empty() || answer.is_final_for(query)) return answer;
        Result<size_t> ready = wait_for_any(conversations, deadline_usec);
        if (!ready || *ready == 0) break;
    }
    for (const Conversation& conversation : conversations) warn(conversation.service, "no answer in time");
    return answer;
}

const std::vector<UserdbServices::Service>& UserdbServices::current() {
    std::vector<ranges::FileStamp> stamps;
    for (const std::string& directory : directories_) {
        auto stamp = ranges::FileStamp::of(directory);
        stamps.push_back(stamp ? *stamp : ranges::FileStamp());
    }
    auto same = [](const ranges::FileStamp& a, const ranges::FileStamp& b) { return a.is_same_state(b); };
    if (!std::ranges::equal(stamps, stamps_, same)) {
        services_ = list();
        stamps_ = std::move(stamps);
    }
    return services_;
}

std::vector<UserdbServices::Service> UserdbServices::list() {
    std::vector<Service> services;
    std::set<std::pair<dev_t, ino_t>> seen;
    for (const std::string& directory : directories_) {
        auto names = sys::list_directory(sys::kCwd, directory);
        if (!names && names.error().code() != ENOENT) warn(directory, names.error().what());
        if (!names || names->empty()) continue;
        if (auto own = sys::stat_target(own_socket_)) seen.emplace(own->st_dev, own->st_ino);
        for (const std::string& name : *names) {
            std::string path = fmt::format("{}/{}", directory, name);
            auto st = sys::stat_target(path);
            if (name == kMultiplexer || !st || !S_ISSOCK(st->st_mode)) continue;
            if (!seen.emplace(st->st_dev, st->st_ino).second) continue;
            if (services.size() == kMaxServices) {
                warn(directory, "too many services, not all are asked");
                return services;
            }
            services.push_back({name, std::move(path)});
        }
    }
    return services;
}

void UserdbServices::warn(const std::string& name, std::string_view why) {
    if (warned_.size() >= kMaxWarned || !warned_.insert(name).second) return;
    log::warning("User database service {} does not answer whether ids are in use ({}); taken as unknown to it", name,
                 why);
}

}  // namespace nsr::hostdb
