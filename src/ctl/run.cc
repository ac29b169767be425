// SPDX-License-Identifier: LGPL-2.1-or-later
#include <unistd.h>

#include "ctl/default_name.h"
#include "ctl/enter.h"
#include "ctl/service.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

// A person may have to answer a question of polkit in the meantime.
constexpr uint64_t kAllocateTimeoutUsec = 180'000'000;

varlink::json::object allocate_parameters(const RunVerb& verb, Uid caller) {
    varlink::json::object parameters;
    if (verb.name) {
        parameters["name"] = *verb.name;
    } else {
        parameters["name"] = default_name(verb.command[0], caller, ::getpid());
        parameters["mangleName"] = true;
    }
    parameters["size"] = verb.size;
    parameters["userNamespaceFileDescriptor"] = 0;
    return parameters;
}

/// Leaves no descriptor open: neither the connection nor the namespace is the command's business.
Status enter_allocated_namespace(const Setting& setting, const RunVerb& verb) {
    const Uid caller(::geteuid());
    // The kernel notes who we are at connect(2), and the service believes the kernel: connected any later, we would be
    // the overflow uid of a namespace without maps.
    varlink::Client client = TRY(connect(setting));
    UniqueFd user_namespace = TRY(enter_new_user_namespace());
    auto answer = TRY_WITHIN("cannot get a range", client.call("io.systemd.NamespaceResource.AllocateUserRange",
                                                               allocate_parameters(verb, caller), {&user_namespace, 1},
                                                               kAllocateTimeoutUsec));
    if (!answer.error.empty()) return fail(EPERM, "cannot get a range: {}", explain(answer));
    return {};
}

}  // namespace

Result<int> run(const Setting& setting, const RunVerb& verb) {
    TRY(enter_allocated_namespace(setting, verb));
    TRY(become_root_inside());
    TRY(enter_new_mount_namespace());
    return execute(verb.command);
}

}  // namespace nsr::ctl
