// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "varlink/message.h"
#include "varlink/parameters.h"

namespace nsr::varlink {

/// The other end of a connection, by SO_PEERCRED.
struct Peer {
    Uid uid;
    Gid gid;
    pid_t pid = 0;
    /// Another one for each connection.
    uint64_t connection_id = 0;
    BorrowedFd socket;
};

/// One call of a method, its parameters found good. A handler may take descriptors out of `fds`.
struct Call {
    const Parameters& parameters;
    std::vector<UniqueFd>& fds;
    const Peer& peer;
};

using Handler = std::function<Outcome(Call&)>;
/// Asked before each call of an interface, once its parameters are there, well typed and known, but before anything
/// else is judged: a Fault refuses the call.
using Gate = std::function<std::optional<Fault>()>;

/// The interfaces and methods of a service. Answers org.varlink.service itself and knows the errors of io.systemd; to
/// be filled before the first dispatch().
class Server {
public:
    /// What GetInfo says.
    struct Info {
        std::string vendor, product, version, url;
    };
    explicit Server(Info info);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// `description` is the text in varlink's interface language; it must live as long as this.
    void add_interface(std::string_view name, std::string_view description, Gate gate = {});
    /// `full_name` is "interface.Method", of an interface that was added; `fields` must live as long as this.
    void add_method(std::string_view full_name, std::span<const Field> fields, Handler handler);

    /// Carries out one call. Nothing to be sent for `oneway`. Descriptors that no method took stay in `request.fds`:
    /// the caller closes them before the answer is sent, since they may keep a namespace alive, and minds that this can
    /// take as long as their sender likes.
    std::optional<Outcome> dispatch(Request&& request, const Peer& peer) const;

private:
    struct Interface {
        std::string_view description;
        Gate gate;
    };
    struct Method {
        const Interface* interface;
        std::span<const Field> fields;
        Handler handler;
    };

    Outcome answer(Request&& request, std::vector<UniqueFd>& fds, const Peer& peer) const;
    Outcome not_found(const std::string& method) const;
    Outcome get_info() const;
    Outcome get_interface_description(std::string_view interface) const;

    Info info_;
    std::map<std::string, Interface, std::less<>> interfaces_;
    std::map<std::string, Method, std::less<>> methods_;
};

/// Faults that any method may answer with.
Fault invalid_parameter(std::string_view name);
Fault permission_denied();
/// A failure of the system itself, as an errno value (positive).
Fault system_error(int code);

}  // namespace nsr::varlink
