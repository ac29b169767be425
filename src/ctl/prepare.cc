// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/prepare.h"

#include <unistd.h>
#include <array>

#include "ctl/default_name.h"
#include "ctl/enter.h"
#include "ctl/service.h"
#include "ctl/shortage.h"
#include "registry/names.h"

namespace nsr::ctl {

namespace {

constexpr const char* kUserNamespace = "userNamespaceFileDescriptor";

/// The calls of one run, on one connection. The user namespace goes along with each of them, as descriptor 0.
struct Calls {
    varlink::Client client;
    std::array<UniqueFd, 2> fds;

    Result<varlink::CallResult> call(std::string_view method, varlink::json::object parameters) {
        parameters[kUserNamespace] = 0;
        return ctl::call(client, method, std::move(parameters), {fds.data(), fds[1] ? 2UL : 1UL});
    }
};

std::string name_of(const RunVerb& verb, Uid caller) {
    return verb.name.value_or(default_name(verb.command[0], caller, ::getpid()));
}

varlink::json::object allocate_parameters(const RunVerb& verb, Uid caller) {
    varlink::json::object parameters;
    parameters["name"] = name_of(verb, caller);
    if (!verb.name) parameters["mangleName"] = true;
    parameters["size"] = verb.size;
    const bool is_self = verb.type == RangeType::kSelf;
    // Without a target the service maps the caller's ids to themselves.
    if (!is_self || verb.target == 0) parameters["target"] = verb.target;
    if (is_self) parameters["type"] = "self";
    if (verb.delegates > 0) parameters["delegateContainerRanges"] = verb.delegates;
    if (verb.foreign == Foreign::kMapped) parameters["mapForeign"] = true;
    return parameters;
}

Status allocate(Calls& calls, const Setting& setting, const RunVerb& verb, Uid caller) {
    auto parameters = allocate_parameters(verb, caller);
    parameters[kUserNamespace] = 0;
    auto answer = TRY(ask(calls.client, "AllocateUserRange", std::move(parameters), {calls.fds.data(), 1}));
    if (answer.error == "io.systemd.NamespaceResource.NoDynamicRange") {
        Wanted wanted{.containers = verb.delegates};
        if (verb.type == RangeType::kManaged) ++(verb.size == 1 ? wanted.singles : wanted.containers);
        return fail(ENOSPC, "{}", explain_shortage(setting, wanted, caller));
    }
    if (!answer.error.empty()) return fail(EPERM, "{}", explain(answer));
    return {};
}

/// Before anything is asked of the service: root loses the right to make cgroups along with its user namespace.
Result<OwnCgroup> enter_cgroup(const ControlGroup& wanted, const RunVerb& verb, Uid caller) {
    // A name that the service would refuse must not become one of a directory either.
    auto name = registry::final_name(name_of(verb, caller), caller, registry::Mangle::kNo, 0);
    if (!name)
        return fail(
            EINVAL, "cannot name the cgroup: {}",
            explain(
                {.error = "org.varlink.service.InvalidParameter", .parameters = {{"parameter", "name"}}, .fds = {}}));
    return OwnCgroup::enter(wanted, "ns-" + *name);
}

Status give_cgroup(Calls& calls, const OwnCgroup& cgroup) {
    calls.fds[1] = TRY(cgroup.open_again());
    TRY_WITHIN("cannot hand over the cgroup",
               calls.call("AddControlGroupToUserNamespace", {{"controlGroupFileDescriptor", 1}}));
    calls.fds[1].reset();
    return {};
}

Status give_veth(Calls& calls) {
    calls.fds[1] = TRY(enter_new_network_namespace());
    TRY_WITHIN("cannot get a network interface",
               calls.call("AddNetworkToUserNamespace", {{"networkNamespaceFileDescriptor", 1}, {"mode", "veth"}}));
    calls.fds[1].reset();
    return {};
}

Result<Tap> give_tap(Calls& calls) {
    auto answer = TRY_WITHIN("cannot get a tap interface", calls.call("AddNetworkToUserNamespace", {{"mode", "tap"}}));
    if (answer.fds.size() != 1) return fail(EPROTO, "the service gave no tap interface");
    return Tap{std::move(answer.fds[0]), TRY(string_in(answer, "hostInterfaceName"))};
}

}  // namespace

Result<Prepared> prepare(const Setting& setting, const RunVerb& verb, Uid caller) {
    // The kernel notes who we are at connect(2), and the service believes the kernel: connected any later, we would be
    // the overflow uid of a namespace without maps.
    varlink::Client client = TRY(connect(setting));
    Prepared prepared;
    if (verb.control_group) prepared.cgroup.emplace(TRY(enter_cgroup(*verb.control_group, verb, caller)));
    UniqueFd user_namespace = TRY(enter_new_user_namespace());
    Calls calls{std::move(client), {std::move(user_namespace), UniqueFd()}};
    TRY_WITHIN("cannot get a range", allocate(calls, setting, verb, caller));
    if (prepared.cgroup) TRY(give_cgroup(calls, *prepared.cgroup));
    if (verb.network.veth == Network::Veth::kOne) TRY(give_veth(calls));
    if (verb.network.tap == Network::Tap::kOne) prepared.tap = TRY(give_tap(calls));
    if (prepared.cgroup) prepared.cgroup->keep();
    return prepared;
}

}  // namespace nsr::ctl
