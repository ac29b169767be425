// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/recover.h"

#include <fcntl.h>
#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/log.h"
#include "base/sys.h"
#include "registry/delegation.h"
#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/listing.h"
#include "registry/record_file.h"

namespace nsr::registry {

namespace {

// A destroyed registry must not become a flood of the log.
constexpr size_t kMaxComplaints = 32;
/// At something that the system fails to do: what it lacks for a moment it may have in the next.
constexpr int kAttempts = 3;

/// An entry that stays, as little of it as the links are checked with: there may be 28,664 of them.
struct Kept {
    uint64_t file = 0;
    NsInode inode;
    Uid owner;
    std::optional<uint32_t> start;
    std::string name;
    bool has_name = false, has_start = false, has_start_gid = false, has_owned = false;

    bool is_complete() const { return has_name && has_owned && (!start || (has_start && has_start_gid)); }
    /// The flag of a link that this entry should have.
    bool* flag_for(const Listing::NameLink& link) { return link.name == name ? &has_name : nullptr; }
    bool* flag_for(const Listing::RangeLink& link) {
        if (link.start != start) return nullptr;
        return link.kind == FileKind::kStart ? &has_start : &has_start_gid;
    }
};

Kept kept_from(uint64_t file, const Registration& registration) {
    std::optional<uint32_t> start;
    if (registration.is_transient()) start = registration.range->start.value;
    return {file, registration.userns.inode, registration.owner, start, registration.name};
}

/// Entries that nothing is known of at this time, and so must lose neither a name nor a range.
class Unread {
public:
    void add(const Listing::Entry& entry) {
        inodes_.insert(entry.inode);
        files_.insert(entry.file);
    }
    bool has_file(uint64_t file) const { return files_.contains(file); }
    bool has(NsInode inode) const { return inodes_.contains(inode); }

private:
    std::unordered_set<NsInode> inodes_;
    std::unordered_set<uint64_t> files_;
};

/// Whether a failure is one of the system, which says nothing about the record.
bool is_of_system(const Error& error) { return error.code() != EBADMSG; }

template <class Function>
auto attempt(Function function) {
    auto outcome = function();
    for (int i = 1; i < kAttempts && !outcome && is_of_system(outcome.error()); ++i) outcome = function();
    return outcome;
}

class Recovery {
public:
    Recovery(Store& store, const Lock& lock, const std::function<Verdict(const Registration&)>& judge)
        : store_(store), lock_(lock), judge_(judge), registry_(store.registry_dir()) {}

    Result<RecoveryReport> run();

private:
    void examine(const Listing::Entry& entry);
    void leave(const Listing::Entry& entry, const Error& error);
    void set_aside(const std::string& file);
    template <class Link>
    void settle(const Link& link);
    void settle_owned(const Listing::OwnedLink& link);
    Kept* settle_orphan(const std::string& path, uint64_t file);
    void leave_orphan(const std::string& path, const Error& error);
    void complete(const Kept& kept);
    void make_link(NsInode inode, const std::string& path);
    void note_incomplete(NsInode inode);
    void remove_link(const std::string& path);
    void settle_delegation(Uid start);
    bool is_broken_delegation(Uid start) const;
    Kept* find_kept(uint64_t file);
    void complain(std::string_view sentence);

    Store& store_;
    const Lock& lock_;
    const std::function<Verdict(const Registration&)>& judge_;
    BorrowedFd registry_;
    std::vector<Kept> kept_;  ///< by file, in rising order once all entries are examined
    Unread unread_;
    RecoveryReport report_;
    size_t complaints_ = 0;
};

void Recovery::complain(std::string_view sentence) {
    if (++complaints_ <= kMaxComplaints) log::warning("registry: {}", sentence);
    if (complaints_ == kMaxComplaints) log::warning("registry: further complaints are not logged");
}

Kept* Recovery::find_kept(uint64_t file) {
    auto found = std::ranges::lower_bound(kept_, file, {}, &Kept::file);
    return found != kept_.end() && found->file == file ? &*found : nullptr;
}

Result<RecoveryReport> Recovery::run() {
    Listing listing = TRY(list_registry(registry_));
    kept_.reserve(listing.entries.size());
    for (const auto& entry : listing.entries) examine(entry);
    std::ranges::sort(kept_, {}, &Kept::file);
    for (const auto& link : listing.name_links) settle(link);
    for (const auto& link : listing.range_links) settle(link);
    for (const auto& link : listing.owned_links) settle_owned(link);
    for (const Kept& kept : kept_)
        if (!kept.is_complete()) complete(kept);
    // Fails, as it should, where somebody's entries are left.
    for (Uid owner : listing.owners) static_cast<void>(sys::unlink_at(registry_, owner_directory(owner), AT_REMOVEDIR));
    for (Uid start : listing.delegations) settle_delegation(start);
    report_.unknown_files = listing.unknown_count;
    if (listing.unknown_count > 0)
        log::notice("registry: {} files are not of the registry and left alone: {}", listing.unknown_count,
                    fmt::join(listing.unknown_examples, ", "));
    return report_;
}

// One entry: is it readable, and does its namespace live?
void Recovery::examine(const Listing::Entry& entry) {
    auto found = attempt([&] { return store_.find_by_inode(entry.inode); });
    if (!found && is_of_system(found.error())) return leave(entry, found.error());
    if (!found) {
        complain(found.error().what());
        return set_aside(entry_file(entry.inode));
    }
    if (!*found) return;
    const Registration& registration = **found;
    if (judge_(registration) == Verdict::kRemove) {
        // Whatever is left of it still has its entry.
        Status removed = attempt([&] { return store_.remove(lock_, registration); });
        if (!removed) return leave(entry, removed.error());
        ++report_.removed;
        return;
    }
    ++report_.kept;
    kept_.push_back(kept_from(entry.file, registration));
}

void Recovery::leave(const Listing::Entry& entry, const Error& error) {
    complain(fmt::format("{} and its links stay as they are for now: {}", entry_file(entry.inode), error.what()));
    unread_.add(entry);
    report_.unread.push_back(entry.inode);
}

// Only the entry of a broken record goes to nsresource/broken/, where an administrator can look at it. Its links u, g
// and n stay: they say that a range and a name are in use, and whether that namespace is dead cannot be found out
// without the record. As long as they are there nobody gets the range again (rule 3), while a range lost until the next
// boot, or until somebody looks, costs one of 28,664.
void Recovery::set_aside(const std::string& file) {
    ++report_.broken;
    auto broken = make_directory(store_.state_dir(), "broken");
    if (!broken) return complain(broken.error().what());
    Status moved = sys::rename_at(registry_, file, broken->borrow(), file);
    if (!moved) complain(moved.error().what());
}

template <class Link>
void Recovery::settle(const Link& link) {
    if (unread_.has_file(link.file)) return;
    Kept* kept = find_kept(link.file);
    if (!kept) kept = settle_orphan(link.path(), link.file);
    if (!kept) return;
    bool* flag = kept->flag_for(link);
    // The record can be read and claims no such name or range.
    if (!flag) return remove_link(link.path());
    *flag = true;
}

void Recovery::settle_owned(const Listing::OwnedLink& link) {
    if (unread_.has_file(link.file) || unread_.has(link.inode)) return;
    Kept* kept = find_kept(link.file);
    // It holds neither a name nor a range; it would only count against its owner.
    if (!kept || kept->owner != link.owner || kept->inode != link.inode) return remove_link(link.path());
    kept->has_owned = true;
}

// A link whose entry is gone, though entries go last: somebody else had his hands in here. If it can be read it is as
// good as the entry, and a range is given back only if its namespace is dead. What is returned is the entry made from
// it.
Kept* Recovery::settle_orphan(const std::string& path, uint64_t file) {
    auto record = attempt([&] { return read_record(registry_, path); });
    if (!record) return leave_orphan(path, record.error()), nullptr;
    if (!*record) return nullptr;
    const Registration& registration = **record;
    // The entry may be a newer record of the same registration, with more to be released.
    if (unread_.has(registration.userns.inode)) return nullptr;
    if (judge_(registration) == Verdict::kRemove) {
        remove_link(path);
        return nullptr;
    }
    auto entry = attempt([&] { return store_.find_by_inode(registration.userns.inode); });
    if (!entry && is_of_system(entry.error())) return leave_orphan(path, entry.error()), nullptr;
    if (entry && *entry && is_same_registration(**entry, registration)) {
        // An older record of the same registration: update() was cut short. complete() links the newer one.
        remove_link(path);
        return nullptr;
    }
    std::string own = entry_file(registration.userns.inode);
    Status linked = attempt([&] { return sys::link_at(registry_, path, registry_, own); });
    if (!linked && linked.error().code() != EEXIST) return leave_orphan(path, linked.error()), nullptr;
    if (!linked) {
        ++report_.links_in_doubt;
        complain(fmt::format("{} stays taken: its namespace has another record", path));
        return nullptr;
    }
    ++report_.links_made;
    ++report_.kept;
    auto place = std::ranges::lower_bound(kept_, file, {}, &Kept::file);
    return &*kept_.insert(place, kept_from(file, registration));
}

// It stays taken: what it stands for is not known.
void Recovery::leave_orphan(const std::string& path, const Error& error) {
    ++(is_of_system(error) ? report_.unread_links : report_.links_in_doubt);
    complain(fmt::format("{} stays taken: {}", path, error.what()));
}

// The ranges first, since others could be given those.
void Recovery::complete(const Kept& kept) {
    if (kept.start && !kept.has_start) make_link(kept.inode, start_file(Uid(*kept.start)));
    if (kept.start && !kept.has_start_gid) make_link(kept.inode, start_gid_file(Gid(*kept.start)));
    if (!kept.has_name) make_link(kept.inode, name_file(kept.name));
    if (kept.has_owned) return;
    auto directory = attempt([&] { return make_directory(registry_, owner_directory(kept.owner)); });
    if (directory) return make_link(kept.inode, owned_file(kept.owner, kept.inode));
    complain(directory.error().what());
    note_incomplete(kept.inode);
}

void Recovery::make_link(NsInode inode, const std::string& path) {
    std::string entry = entry_file(inode);
    Status linked = attempt([&] { return sys::link_at(registry_, entry, registry_, path); });
    if (linked) {
        ++report_.links_made;
        return;
    }
    complain(fmt::format("{} lacks a link: {}", entry, linked.error().what()));
    if (linked.error().code() != EEXIST) return note_incomplete(inode);
    // Two records claim one name or range; who has it already keeps it.
    ++report_.links_in_doubt;
}

void Recovery::note_incomplete(NsInode inode) {
    if (report_.unread.empty() || report_.unread.back() != inode) report_.unread.push_back(inode);
}

void Recovery::remove_link(const std::string& path) {
    Status removed = sys::unlink_at(registry_, path);
    if (!removed && removed.error().code() == ENOENT) return;  // gone with its registration
    if (!removed) return complain(removed.error().what());
    ++report_.links_removed;
}

// It stays in any case: its range is taken until the record can be read, or until an administrator looks at it.
void Recovery::settle_delegation(Uid start) {
    for (int i = 0; i < kAttempts; ++i) {
        Status settled = store_.settle_delegation(lock_, start);
        if (settled) return;
        if (i == 0) complain(settled.error().what());
        if (is_broken_delegation(start)) return;
    }
    report_.unread_delegations.push_back(start);
}

bool Recovery::is_broken_delegation(Uid start) const {
    auto text = sys::read_file_at(registry_, delegate_file(start), kMaxFileSize);
    if (!text) return text.error().code() == EBADF || text.error().code() == EFBIG || text.error().code() == ELOOP;
    auto delegation = parse_delegation(*text);
    return !delegation || delegation->start != start;
}

}  // namespace

Result<RecoveryReport> recover(Store& store, const std::function<Verdict(const Registration&)>& judge) {
    Lock lock = TRY(store.lock());
    return Recovery(store, lock, judge).run();
}

}  // namespace nsr::registry
