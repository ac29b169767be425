// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <functional>
#include <string>

#include "lifecycle/transaction.h"
#include "service/context.h"
#include "service/fault.h"

/// What several methods begin with.
namespace nsr::service {

inline constexpr std::string_view kUserNamespaceField = "userNamespaceFileDescriptor";

/// The final name (registry/names.h), by the parameters `name` and `mangleName`.
OrFault<std::string> take_name(const varlink::Call& call);

/// The descriptor that a parameter names by its index, to be taken once it is known for what it should be: close(2) of
/// any other can wait for as long as its sender likes, and is left to the session.
OrFault<UniqueFd*> find_fd(varlink::Call& call, std::string_view field);

/// The namespace that a call is about: a user namespace, not the service's own, and the caller's unless the caller is
/// root.
OrFault<namespaces::UserNamespace> take_user_namespace(const Context& context, varlink::Call& call);

/// Has what a dead worker left for the namespace repaired: else that would undo later what this call is about to do.
/// System EBUSY: it takes longer.
OrFault<void> settle(Context& context, NsInode userns);

/// Begins a transaction. `begin` gives nothing if another call for the namespace is not finished: it is asked again
/// once that is settled. System EBUSY: it takes longer.
using Begin = std::function<OrFault<std::optional<lifecycle::Transaction>>()>;
OrFault<lifecycle::Transaction> begin_settled(Context& context, NsInode userns, const Begin& begin);

/// The live registration of a namespace; one whose namespace is dead is released.
OrFault<std::optional<registry::Registration>> find_registration(Context& context,
                                                                 const namespaces::UserNamespace& userns);

/// UserNamespaceExists.
OrFault<void> require_unregistered(Context& context, const namespaces::UserNamespace& userns);
/// NameExists, as far as the registry knows.
OrFault<void> require_free_name(Context& context, const std::string& name);
/// NameExists, as far as the host knows. Waits for others: not with the registry lock held.
OrFault<void> require_name_unknown_to_host(Context& context, const std::string& name);
/// System EUSERS: the user behind a uid has as many registrations as one may have.
OrFault<void> require_room(Context& context, Uid caller);
/// What these, and require_room(), say of the registry alone, once more, with the lock held: another worker may have
/// been faster.
OrFault<void> require_unclaimed(const Context& context, const registry::Lock& lock,
                                const registry::Registration& registration);
/// Whether polkit lets the caller do this: PermissionDenied also where it is there and does not answer. Waits for it.
OrFault<void> require_authority(Context& context, const varlink::Call& call, authority::Action action,
                                const char* detail, std::string value);
/// UserNamespaceNotRegistered.
OrFault<registry::Registration> require_registration(Context& context, const namespaces::UserNamespace& userns);
/// PermissionDenied for a caller that is neither root nor the owner of the registration.
OrFault<void> require_owner(const registry::Registration& registration, const varlink::Peer& peer);

}  // namespace nsr::service
