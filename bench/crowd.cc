// SPDX-License-Identifier: LGPL-2.1-or-later
#include "crowd.h"

#include <unistd.h>
#include <algorithm>
#include <iterator>
#include <optional>
#include <span>

#include "connection.h"
#include "kernel_work.h"
#include "requests.h"
#include "user.h"

namespace nsr::bench {

namespace {

constexpr size_t kPerHolder = 8192;
constexpr uint32_t kFloorStart = 1u << 31;

Status register_all(const std::string& socket, Uid user, std::span<const UniqueFd> namespaces, Samples& samples,
                    Samples* bare_samples) {
    auto bare = TRY(make_user_namespaces(user, bare_samples ? namespaces.size() : 0));
    std::optional<Connection> connection;
    {
        ActAs as(user);
        connection.emplace(TRY(Connection::open(socket)));
        TRY(connection->ask(memberships_request()));
    }
    for (size_t i = 0; i < namespaces.size(); ++i) {
        if (bare_samples) TRY(bare_samples->time([&] { return map_user_namespace(bare[i].borrow(), kFloorStart); }));
        std::string request = allocate_request();
        auto reply = samples.time([&] { return connection->ask(request, namespaces[i].borrow()); });
        std::string_view text = TRY(std::move(reply));
        TRY(require_success(text));
    }
    return {};
}

}  // namespace

Status Crowd::grow(const Instance& instance, size_t count, Samples& samples, Samples* floor) {
    while (count > 0) {
        if (last_user_count_ == kPerUser) {
            users_.push_back(next_user());
            last_user_count_ = 0;
        }
        size_t batch = std::min(count, kPerUser - last_user_count_);
        auto namespaces = TRY(make_user_namespaces(users_.back(), batch));
        TRY(register_all(instance.socket(), users_.back(), namespaces, samples, floor));
        std::ranges::move(namespaces, std::back_inserter(namespaces_));
        last_user_count_ += batch;
        count -= batch;
        if (namespaces_.size() >= kPerHolder) TRY(hold());
    }
    return {};
}

// The new process has copies of all descriptors.
Status Crowd::hold() {
    holders_.push_back(TRY(Child::run([] {
        pause();
        return EXIT_SUCCESS;
    })));
    namespaces_.clear();
    return {};
}

void Crowd::release() {
    namespaces_.clear();
    holders_.clear();
}

Status Crowd::wait_until_released(const Instance& instance) const {
    for (Uid user : users_) TRY(instance.wait_until_released(user));
    return {};
}

}  // namespace nsr::bench
