// SPDX-License-Identifier: LGPL-2.1-or-later
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>

#include "base/log.h"
#include "pool/log_quota.h"
#include "pool/slot.h"
#include "pool/start.h"
#include "service/methods.h"
#include "worker/setup.h"
#include "worker/worker.h"

namespace {

using namespace nsr;

Status run(int argc, char** argv) {
    auto arguments = TRY(worker::parse_arguments(argc, argv));
    log::set_level(arguments.log_level);
    TRY(worker::confine());
    auto log_quota = std::make_shared<pool::LogQuota>(TRY(pool::LogQuota::attach(UniqueFd(pool::kLogQuotaFd))));
    pool::bound_log(log_quota, std::identity());
    pool::Channel channel{UniqueFd(pool::kChannelFd)};
    pool::Slot slot = TRY(pool::Slot::attach(UniqueFd(pool::kSlotFd)));
    service::Context context = TRY(worker::open_context(arguments, channel, slot));
    varlink::Server server({"nsresourced", "nsresourced", NSR_VERSION, "https://systemd.io/USER_GROUP_API"});
    service::add_methods(server, context);
    pool::bound_log(log_quota, [&context](Uid uid) { return context.users.user_of(uid); });
    Status ended = worker::Worker(context, server, channel, slot).run();
    // The context is gone when main() says what went wrong.
    pool::bound_log(log_quota, std::identity());
    return ended;
}

}  // namespace

int main(int argc, char** argv) try {
    log::open("nsresourcework", log::Level::kInfo);
    Status ended = run(argc, argv);
    if (ended) return EXIT_SUCCESS;
    // A client may be able to make one worker after the other fail.
    log::OnBehalfOf unknown(log::kUnknownUser);
    log::error("{}", ended.error().what());
    return EXIT_FAILURE;
} catch (const std::exception& exception) {
    log::error("{}", exception.what());
    return EXIT_FAILURE;
}
