// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/request.h"

#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "lifecycle/accounts.h"
#include "lifecycle/policy_entries.h"
#include "lifecycle/release.h"
#include "lifecycle/repair.h"
#include "namespaces/map_files.h"
#include "registry/names.h"
#include "service/patience.h"

namespace nsr::service {

OrFault<std::string> take_name(const varlink::Call& call) {
    auto mangle =
        call.parameters.boolean("mangleName").value_or(false) ? registry::Mangle::kYes : registry::Mangle::kNo;
    auto name = registry::final_name(*call.parameters.string("name"), call.peer.uid, mangle, call.peer.connection_id);
    if (!name) return refuse_parameter("name");
    return std::move(*name);
}

OrFault<UniqueFd*> find_fd(varlink::Call& call, std::string_view field) {
    auto index = static_cast<uint64_t>(*call.parameters.integer(field));
    // A second parameter with the same index finds the place empty.
    if (index >= call.fds.size() || !call.fds[index]) return Refusal(varlink::system_error(ENXIO));
    return &call.fds[index];
}

OrFault<namespaces::UserNamespace> take_user_namespace(const Context& context, varlink::Call& call) {
    auto userns = namespaces::UserNamespace::from_descriptor(std::move(*TRY(find_fd(call, kUserNamespaceField))));
    if (!userns && userns.error().code() == EREMOTEIO) return Refusal(varlink::system_error(EREMOTEIO));
    if (!userns || userns->identity() == context.own.identity()) return refuse_parameter(kUserNamespaceField);
    // A record of such an owner could not be read again.
    if (!is_valid_id(call.peer.uid.value)) return refuse_permission();
    Uid owner = TRY_SYSTEM(userns->owner());
    // Else anybody who can open /proc/<pid>/ns/user of a stranger could decide what is mapped there.
    if (call.peer.uid != Uid(0) && owner != call.peer.uid) return refuse_parameter(kUserNamespaceField);
    return std::move(*userns);
}

namespace {

enum class Match { kNone, kSame, kOther };

bool has_ids_of(const registry::Registration& registration, const namespaces::IdMap& map) {
    return std::ranges::any_of(map, [&](const namespaces::IdMapLine& line) {
        return line.outside == registration.range->start.value || line.outside == registration.range->start_gid.value;
    });
}

// A recorded call that has ended has written the maps, or one of the two, and none is ever written anew: a namespace
// with neither is not the recorded one. Not with the registry lock held: processes of that namespace can make it last.
Result<bool> lacks_ids_of(const Context& context, const registry::Registration& registration,
                          const namespaces::UserNamespace& userns) {
    if (!registration.range || !context.entries.exist()) return false;  // what it shows could not be noted
    auto maps = TRY(namespaces::read_maps(userns));
    return !has_ids_of(registration, maps.uids) && !has_ids_of(registration, maps.gids);
}

// The record may just have been made for this very namespace, by a call that has yet to write the maps.
bool is_at_a_call(const Context& context, NsInode userns) {
    auto others = context.journal.others();
    return std::ranges::find(others, userns, &lifecycle::Journal::Item::userns) != others.end();
}

// An inode number is used again after its namespace is dead; the 64-bit id is not. Where there are no ids, the kernel
// policy may know that the recorded one is dead, while the caller's is not; or the maps tell, where its death was
// missed.
OrFault<Match> match(Context& context, const registry::Registration& found, const namespaces::UserNamespace& userns) {
    const NsIdentity& identity = userns.identity();
    bool have_ids = found.userns.id.value != 0 && identity.id.value != 0;
    if (have_ids && found.userns.id == identity.id) return Match::kSame;
    bool lacks_ids =
        !have_ids && !is_at_a_call(context, identity.inode) && TRY_SYSTEM(lacks_ids_of(context, found, userns));
    // The record and the policy's mark go together.
    auto lock = TRY_SYSTEM(context.store.lock());
    auto current = TRY_SYSTEM(context.store.find_by_inode(identity.inode));
    if (!current) return Match::kNone;
    if (have_ids) {
        // Another call may have been faster: the new namespace's entry must not be taken for the dead one's.
        if (current->userns != found.userns) return Match::kNone;
        // That its number is another's by now is as good as any word of its death.
        TRY_SYSTEM(context.entries.mark_dead(identity.inode));
        return Match::kOther;
    }
    if (lifecycle::life_of(context, current->userns) == namespaces::Life::kDead) return Match::kOther;
    if (!lacks_ids || *current != found || is_at_a_call(context, identity.inode)) return Match::kSame;
    TRY_SYSTEM(context.entries.mark_dead(identity.inode));
    return Match::kOther;
}

}  // namespace

OrFault<void> settle(Context& context, NsInode userns) {
    for (Patience patience;;) {
        auto settled = TRY_SYSTEM(lifecycle::settle(context, userns));
        if (settled == lifecycle::Settled::kAll) return {};
        if (patience.wait() == Patience::Wait::kOver) return Refusal(varlink::system_error(EBUSY));
    }
}

OrFault<lifecycle::Transaction> begin_settled(Context& context, NsInode userns, const Begin& begin) {
    for (Patience patience;;) {
        if (auto begun = TRY(begin())) return std::move(*begun);
        TRY(settle(context, userns));
        if (patience.wait() == Patience::Wait::kOver) return Refusal(varlink::system_error(EBUSY));
    }
}

OrFault<std::optional<registry::Registration>> find_registration(Context& context,
                                                                 const namespaces::UserNamespace& userns) {
    TRY(settle(context, userns.identity().inode));
    auto found = TRY_SYSTEM(context.store.find_by_inode(userns.identity().inode));
    if (!found) return found;
    auto match_now = TRY(match(context, *found, userns));
    if (match_now == Match::kSame) return found;
    if (match_now == Match::kOther &&
        TRY_SYSTEM(lifecycle::release_if_dead(context, *found)) == lifecycle::Holder::kAlive)
        return refuse_system(Error(EEXIST, "stale record of a namespace with the same inode number"));
    return std::optional<registry::Registration>();
}

OrFault<void> require_unregistered(Context& context, const namespaces::UserNamespace& userns) {
    if (TRY(find_registration(context, userns))) return refuse("UserNamespaceExists");
    return {};
}

OrFault<void> require_free_name(Context& context, const std::string& name) {
    for (Patience patience;;) {
        auto holder = context.store.find_by_name(name);
        // A record that cannot be read still says that the name is in use.
        if (!holder) return refuse("NameExists");
        if (!*holder) return {};
        if (TRY_SYSTEM(lifecycle::release_if_dead(context, **holder)) == lifecycle::Holder::kGone) return {};
        if (patience.wait() == Patience::Wait::kOver) return refuse("NameExists");
    }
}

OrFault<void> require_name_unknown_to_host(Context& context, const std::string& name) {
    auto use = TRY_SYSTEM(context.host_ids.check(Uid(0), 0, name, sys::now_usec() + kHostIdsTimeoutUsec));
    if (use == hostdb::HostIds::Use::kNameKnown) return refuse("NameExists");
    return {};
}

OrFault<void> require_room(Context& context, Uid caller) {
    if (TRY_SYSTEM(lifecycle::room(context, caller)) == lifecycle::Room::kLeft) return {};
    return Refusal(varlink::system_error(EUSERS));
}

OrFault<void> require_unclaimed(const Context& context, const registry::Lock& lock,
                                const registry::Registration& registration) {
    if (TRY_SYSTEM(context.store.find_by_inode(registration.userns.inode))) return refuse("UserNamespaceExists");
    if (TRY_SYSTEM(context.store.name_taken(registration.name)) == registry::Taken::kTaken) return refuse("NameExists");
    if (lifecycle::room(context, lock, registration.owner) == lifecycle::Room::kLeft) return {};
    return Refusal(varlink::system_error(EUSERS));
}

OrFault<void> require_authority(Context& context, const varlink::Call& call, authority::Action action,
                                const char* detail, std::string value) {
    const authority::Detail details[] = {{detail, std::move(value)}};
    const authority::Caller caller{call.peer.socket, call.peer.pid, call.peer.uid};
    auto verdict = context.authority.check(caller, action, details, sys::now_usec() + authority::kPatienceUsec);
    if (!verdict) log::error("Refused for want of an answer from polkit: {}", verdict.error().what());
    if (!verdict || *verdict == authority::Verdict::kDenied) return refuse_permission();
    return {};
}

OrFault<registry::Registration> require_registration(Context& context, const namespaces::UserNamespace& userns) {
    auto found = TRY(find_registration(context, userns));
    if (!found) return refuse("UserNamespaceNotRegistered");
    return std::move(*found);
}

OrFault<void> require_owner(const registry::Registration& registration, const varlink::Peer& peer) {
    if (peer.uid != Uid(0) && peer.uid != registration.owner) return refuse_permission();
    return {};
}

}  // namespace nsr::service
