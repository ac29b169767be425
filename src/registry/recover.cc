// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/recover.h"

#include <fcntl.h>
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/sys.h"
#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/listing.h"
#include "registry/record_file.h"

namespace nsr::registry {

namespace {

// A destroyed registry must not become a flood of the log.
constexpr size_t kMaxComplaints = 32;

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

class Recovery {
public:
    Recovery(Store& store, const Lock& lock, const std::function<Verdict(const Registration&)>& judge)
        : store_(store), lock_(lock), judge_(judge), registry_(store.registry_dir()) {}

    Result<RecoveryReport> run();

private:
    void examine(const Listing::Entry& entry);
    void set_aside(const std::string& file);
    template <class Link>
    void settle(const Link& link);
    void settle_owned(const Listing::OwnedLink& link);
    Kept* settle_orphan(const std::string& path, uint64_t file);
    void complete(const Kept& kept);
    void make_link(const std::string& entry, const std::string& path);
    void remove_link(const std::string& path);
    void settle_delegation(Uid start);
    Kept* find_kept(uint64_t file);
    void complain(std::string_view sentence);

    Store& store_;
    const Lock& lock_;
    const std::function<Verdict(const Registration&)>& judge_;
    BorrowedFd registry_;
    std::vector<Kept> kept_;  ///< by file, in rising order once all entries are examined
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
    auto found = store_.find_by_inode(entry.inode);
    std::string file = entry_file(entry.inode);
    if (!found && found.error().code() == EBADMSG) {
        complain(found.error().what());
        return set_aside(file);
    }
    if (!found) return complain(found.error().what());
    if (!*found) return;
    const Registration& registration = **found;
    if (judge_(registration) == Verdict::kRemove) {
        ++report_.removed;
        Status removed = store_.remove(lock_, registration);
        if (!removed) complain(removed.error().what());
        return;
    }
    ++report_.kept;
    kept_.push_back(kept_from(entry.file, registration));
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
    Kept* kept = find_kept(link.file);
    if (!kept) kept = settle_orphan(link.path(), link.file);
    if (!kept) return;
    bool* flag = kept->flag_for(link);
    // The record can be read and claims no such name or range.
    if (!flag) return remove_link(link.path());
    *flag = true;
}

void Recovery::settle_owned(const Listing::OwnedLink& link) {
    Kept* kept = find_kept(link.file);
    // It holds neither a name nor a range; it would only count against its owner.
    if (!kept || kept->owner != link.owner || kept->inode != link.inode) return remove_link(link.path());
    kept->has_owned = true;
}

// A link whose entry is gone, though entries go last: somebody else had his hands in here. If it can be read it is as
// good as the entry, and a range is given back only if its namespace is dead. What is returned is the entry made from
// it.
Kept* Recovery::settle_orphan(const std::string& path, uint64_t file) {
    auto record = read_record(registry_, path);
    if (record && !*record) return nullptr;
    if (!record) {
        ++report_.links_in_doubt;
        complain(fmt::format("stays taken: {}", record.error().what()));
        return nullptr;
    }
    const Registration& registration = **record;
    if (judge_(registration) == Verdict::kRemove) {
        remove_link(path);
        return nullptr;
    }
    auto entry = store_.find_by_inode(registration.userns.inode);
    if (entry && *entry && is_same_registration(**entry, registration)) {
        // An older record of the same registration: update() was cut short. complete() links the newer one.
        remove_link(path);
        return nullptr;
    }
    Status linked = sys::link_at(registry_, path, registry_, entry_file(registration.userns.inode));
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

void Recovery::complete(const Kept& kept) {
    std::string entry = entry_file(kept.inode);
    if (!kept.has_name) make_link(entry, name_file(kept.name));
    if (kept.start && !kept.has_start) make_link(entry, start_file(Uid(*kept.start)));
    if (kept.start && !kept.has_start_gid) make_link(entry, start_gid_file(Gid(*kept.start)));
    if (kept.has_owned) return;
    auto directory = make_directory(registry_, owner_directory(kept.owner));
    if (!directory) return complain(directory.error().what());
    make_link(entry, owned_file(kept.owner, kept.inode));
}

void Recovery::make_link(const std::string& entry, const std::string& path) {
    Status linked = sys::link_at(registry_, entry, registry_, path);
    if (linked) {
        ++report_.links_made;
        return;
    }
    // Two records claim one name or range; who has it already keeps it.
    ++report_.links_in_doubt;
    complain(fmt::format("{} lacks a link: {}", entry, linked.error().what()));
}

void Recovery::remove_link(const std::string& path) {
    Status removed = sys::unlink_at(registry_, path);
    if (!removed && removed.error().code() == ENOENT) return;  // gone with its registration
    if (!removed) return complain(removed.error().what());
    ++report_.links_removed;
}

// A broken one stays: its range is taken until somebody looks at it.
void Recovery::settle_delegation(Uid start) {
    if (Status settled = store_.settle_delegation(lock_, start); !settled) complain(settled.error().what());
}

}  // namespace

Result<RecoveryReport> recover(Store& store, const std::function<Verdict(const Registration&)>& judge) {
    Lock lock = TRY(store.lock());
    return Recovery(store, lock, judge).run();
}

}  // namespace nsr::registry
