// SPDX-License-Identifier: LGPL-2.1-or-later
#include "spaces.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>

#include "attempt.h"
#include "base/sys.h"
#include "varlink/client.h"

namespace nsr::channels {

namespace {

constexpr uint64_t kPatienceUsec = 60'000'000;

int become(uint32_t uid, uint32_t gid) {
    if (int code = code_of(::setresgid(gid, gid, gid)); code != 0) return code;
    return code_of(::setresuid(uid, uid, uid));
}

Status answered(const Result<varlink::CallResult>& answer) {
    if (!answer) return Failure(answer.error());
    if (answer->error.ends_with(".UserNamespaceExists")) return fail(EEXIST, "the number is taken");
    if (!answer->error.empty())
        return fail(EPROTO, "the service answers {} {}", answer->error, varlink::json::serialize(answer->parameters));
    return {};
}

/// Short enough to be left as it is behind any uid, and never the same twice.
std::string new_name() { return fmt::format("{:x}", sys::now_usec()); }

varlink::json::object parameters_of(const Order& order) {
    varlink::json::object parameters{{"name", new_name()},
                                     {"mangleName", true},
                                     {"size", order.self ? 1 : order.size},
                                     {"target", 0},
                                     {"userNamespaceFileDescriptor", 0}};
    if (order.self) parameters["type"] = "self";
    if (order.delegates > 0) parameters["delegateContainerRanges"] = order.delegates;
    if (order.foreign) parameters["mapForeign"] = true;
    return parameters;
}

/// In a child: connected before the namespace is made, since the service believes what the kernel noted then.
Status order_own_namespace(const std::string& socket, const Order& order) {
    if (order.parent != nullptr) {
        if (int code = enter(*order.parent, {.uid = order.uid, .gid = order.uid}); code != 0)
            return fail_errno(code, "enter the parent");
    } else if (int code = become(order.uid, order.uid); code != 0) {
        return fail_errno(code, "become the caller");
    }
    auto client = TRY(varlink::Client::connect(socket, kPatienceUsec));
    if (::unshare(CLONE_NEWUSER) < 0) return fail_errno(errno, "make a user namespace");
    std::array<UniqueFd, 1> fds{TRY(sys::open_at(sys::kCwd, "/proc/self/ns/user", O_RDONLY))};
    return answered(
        client.call("io.systemd.NamespaceResource.AllocateUserRange", parameters_of(order), fds, kPatienceUsec));
}

/// The maps as this process sees them: the first line is the range, lines 1:1 below the foreign ones are delegated.
void read_map(int pid, Space& space) {
    std::ifstream file(fmt::format("/proc/{}/uid_map", pid));
    uint32_t within, outside, count;
    bool first = true;
    while (file >> within >> outside >> count) {
        if (first) space.start = outside;
        if (!first && outside < kForeign && space.delegated == 0) space.delegated = outside;
        first = false;
    }
}

std::string text_of(const Map& map) {
    std::string text;
    for (const auto& extent : map) text += fmt::format("{} {} {}\n", extent.inside, extent.outside, extent.count);
    return text;
}

int write_file(const std::string& path, const std::string& text) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return errno;
    return code_of(::write(fd.get(), text.data(), text.size()));
}

int make_mapped(const Map& uids, const Map& gids, const Space* parent, const std::function<void(int)>& ready) {
    if (parent != nullptr)
        if (int code = enter(*parent, {}); code != 0) return code;
    Companion child([](const std::function<void(int)>& say) {
        const int code = code_of(::unshare(CLONE_NEWUSER));
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        say(code);
        ::pause();
    });
    if (child.answer() != 0) return child.answer();
    if (int code = write_file(fmt::format("/proc/{}/uid_map", child.pid()), text_of(uids)); code != 0) return code;
    if (int code = write_file(fmt::format("/proc/{}/gid_map", child.pid()), text_of(gids)); code != 0) return code;
    ready(-child.pid());
    ::pause();
    return 0;
}

Result<UniqueFd> namespace_of(int pid) {
    return sys::open_at(sys::kCwd, fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

}  // namespace

Result<Space> allocate(const std::string& socket, const Order& order) {
    // Kept until the end, so that each has another number.
    std::vector<std::unique_ptr<Companion>> children;
    do {
        children.push_back(std::make_unique<Companion>([&](const std::function<void(int)>& ready) {
            const Status status = order_own_namespace(socket, order);
            if (!status && status.error().code() != EEXIST) fmt::print(stderr, "allocate: {}\n", status.error().what());
            ready(status ? 0 : status.error().code());
            ::pause();
        }));
    } while (children.back()->answer() == EEXIST && children.size() < static_cast<size_t>(order.tries));
    const Companion& child = *children.back();
    if (child.answer() != 0) return fail_errno(child.answer(), "allocate a namespace");
    Space space;
    space.fd = TRY(namespace_of(child.pid()));
    read_map(child.pid(), space);
    return space;
}

Result<Space> unmanaged(const Map& uids, const Map& gids, const Space* parent) {
    Companion child([&](const std::function<void(int)>& ready) { ready(make_mapped(uids, gids, parent, ready)); });
    if (child.answer() >= 0) return fail_errno(child.answer(), "make a user namespace");
    Space space;
    space.fd = TRY(namespace_of(-child.answer()));
    read_map(-child.answer(), space);
    return space;
}

Status call_as_root(const std::string& socket, const std::string& method, const Space& space,
                    const std::string& parameter, UniqueFd fd) {
    auto client = TRY(varlink::Client::connect(socket, kPatienceUsec));
    std::array<UniqueFd, 2> fds{UniqueFd(::fcntl(space.fd.get(), F_DUPFD_CLOEXEC, 0)), std::move(fd)};
    varlink::json::object parameters{{"userNamespaceFileDescriptor", 0}};
    if (!parameter.empty()) parameters[parameter] = 1;
    if (method == "RegisterUserNamespace") {
        parameters["name"] = new_name();
        parameters["mangleName"] = true;
    }
    return answered(client.call("io.systemd.NamespaceResource." + method, parameters,
                                {fds.data(), parameter.empty() ? 1UL : 2UL}, kPatienceUsec));
}

Result<Space> registered(const std::string& socket, const Map& uids, const Map& gids) {
    std::vector<Space> others;
    for (int i = 0; i < kTries; ++i) {
        Space space = TRY(unmanaged(uids, gids));
        const Status status = call_as_root(socket, "RegisterUserNamespace", space, "", UniqueFd());
        if (status) return space;
        if (status.error().code() != EEXIST) return Failure(status.error());
        others.push_back(std::move(space));
    }
    return fail(EEXIST, "each number is taken");
}

int enter(const Space& space, const As& as) {
    // Dropped outside, where it is always allowed; what was not mapped would only be in the way.
    if (int code = code_of(::setgroups(0, nullptr)); code != 0) return code;
    if (int code = code_of(::setns(space.fd.get(), CLONE_NEWUSER)); code != 0) return code;
    if (!as.groups.empty())
        if (int code = code_of(::setgroups(as.groups.size(), as.groups.data())); code != 0) return code;
    if (as.mounts) {
        if (int code = code_of(::unshare(CLONE_NEWNS)); code != 0) return code;
        if (int code = code_of(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr)); code != 0) return code;
    }
    if (as.ipc)
        if (int code = code_of(::unshare(CLONE_NEWIPC)); code != 0) return code;
    // Only a change from the namespace's root to another one takes the capabilities away.
    if (as.uid != 0 && !as.capable && ::setresuid(0, 0, 0) < 0 && errno != EINVAL) return errno;
    if (int code = become(as.uid, as.gid); code != 0) return code;
    // A change of credentials takes this away.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Else /proc/self belongs to somebody else.
    return code_of(::prctl(PR_SET_DUMPABLE, 1));
}

int inside(const Space& space, const As& as, const Body& body) {
    return run_child([&] {
        if (int code = enter(space, as); code != 0) {
            fmt::print(stderr, "enter the namespace: {}\n", errno_name(code));
            return ENOTRECOVERABLE;
        }
        return body();
    });
}

}  // namespace nsr::channels
