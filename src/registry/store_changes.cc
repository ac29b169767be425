// SPDX-License-Identifier: LGPL-2.1-or-later
// The changing half of the store. The entry itself is linked first and unlinked last: whatever else there is of a
// registration, recover() finds it by its entry.
#include <fcntl.h>
#include <unistd.h>
#include <csignal>
#include <ranges>

#include "base/log.h"
#include "base/sys.h"
#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/names.h"
#include "registry/new_record.h"
#include "registry/record_file.h"
#include "registry/store.h"

namespace nsr::registry {

namespace {

Status unless_missing(Status status) {
    if (!status && status.error().code() == ENOENT) return {};
    return status;
}

// The directory goes with its last entry. What else has its name is not ours, and must not keep the rest from being
// removed.
Status remove_owner_directory(BorrowedFd registry, Uid owner) {
    Status removed = unless_missing(sys::unlink_at(registry, owner_directory(owner), AT_REMOVEDIR));
    if (removed) return removed;
    int code = removed.error().code();
    if (code == ENOTEMPTY || code == EEXIST || code == ENOTDIR) return {};
    return removed;
}

// `made` is a beginning of: entry, links, owner's link.
Status undo_links(BorrowedFd registry, Uid owner, std::span<const std::string> made) {
    for (const auto& file : std::views::reverse(made)) {
        if (&file == &made.front()) TRY(remove_owner_directory(registry, owner));
        TRY(unless_missing(sys::unlink_at(registry, file)));
    }
    return {};
}

// The owner's directory is there already, as a rule.
Status make_owned_link(BorrowedFd registry, const NewRecord& record, Uid owner, const std::string& file) {
    Status linked = record.link_to(registry, file);
    if (linked || linked.error().code() != ENOENT) return linked;
    TRY(make_directory(registry, owner_directory(owner)));
    return record.link_to(registry, file);
}

Status make_links(BorrowedFd registry, const NewRecord& record, Uid owner, std::span<const std::string> files,
                  size_t& made) {
    for (const auto& file : files) {
        bool is_owned = &file == &files.back();
        TRY(is_owned ? make_owned_link(registry, record, owner, file) : record.link_to(registry, file));
        ++made;
    }
    return {};
}

Result<std::optional<Registration>> read_unless_broken(BorrowedFd registry, const std::string& file) {
    auto record = read_record(registry, file);
    if (!record && record.error().code() == EBADMSG) return std::nullopt;
    return record;
}

// Removes a name of a registration, but not where another registration has it by now. A name may also stand for an
// older record of the same one, if update() was cut short.
Status remove_link(BorrowedFd registry, const std::string& file, const Registration& registration,
                   const std::optional<FileId>& entry) {
    std::optional<FileId> id = TRY(identify_file(registry, file));
    if (!id) return {};
    if (id != entry) {
        std::optional<Registration> record = TRY(read_unless_broken(registry, file));
        if (!record || !is_same_registration(*record, registration)) return {};
    }
    return unless_missing(sys::unlink_at(registry, file));
}

// The file of the entry; nullopt where there is none, or where a later registration has the same inode number.
Result<std::optional<FileId>> identify_entry(BorrowedFd registry, const Registration& registration) {
    std::string file = entry_file(registration.userns.inode);
    std::optional<Registration> record = TRY(read_unless_broken(registry, file));
    if (!record || !is_same_registration(*record, registration)) return std::nullopt;
    return identify_file(registry, file);
}

}  // namespace

void Store::prepare() {
    if (blank_) return;
    // Without one, the next add() tries again, and says what is wrong.
    if (auto made = NewRecord::make(state_dir())) blank_.emplace(*std::move(made));
}

Status Store::add(const Lock&, const Registration& registration) {
    if (!is_valid_name(registration.name)) return fail(EINVAL, "not a name that a registration can have");
    std::string text = format_registration(registration);
    // What cannot be read again would never be released.
    TRY_WITHIN("record to be written", parse_registration(text));
    if (!blank_) blank_.emplace(TRY(NewRecord::make(state_dir())));
    NewRecord record = *std::move(blank_);
    blank_.reset();
    TRY(record.write(text));
    std::vector<std::string> files = link_files(registration);
    files.insert(files.begin(), entry_file(registration.userns.inode));
    size_t made = 0;
    Status linked = make_links(registry_dir(), record, registration.owner, files, made);
    if (linked) linked = take_delegations(registration);
    if (linked) return {};
    Status undone = made > 0 ? give_back_delegations(registration) : Status();
    if (undone) undone = undo_links(registry_dir(), registration.owner, std::span(files).first(made));
    // The error of the second failure: only then is something left.
    if (!undone) return fail(ENOTRECOVERABLE, "cannot undo a record that failed: {}", undone.error().what());
    return linked;
}

Status Store::remove(const Lock&, const Registration& registration) {
    if (!is_valid_name(registration.name)) return fail(EINVAL, "not a name that a registration can have");
    TRY(give_back_delegations(registration));
    std::optional<FileId> entry = TRY(identify_entry(registry_dir(), registration));
    for (const auto& file : std::views::reverse(link_files(registration)))
        TRY(remove_link(registry_dir(), file, registration, entry));
    TRY(remove_owner_directory(registry_dir(), registration.owner));
    if (!entry) return {};
    return unless_missing(sys::unlink_at(registry_dir(), entry_file(registration.userns.inode)));
}

// Whoever makes such a link holds the lock, as the caller does now. A record with a name is made ahead without it.
Status Store::remove_leftovers(const Lock&) {
    for (const auto& file : TRY(sys::list_directory(state_dir(), "."))) {
        auto writer = parse_new_file(file);
        if (!writer) continue;
        bool is_link = file == new_link_file(*writer);
        bool is_dead = kill(*writer, 0) < 0 && errno == ESRCH;
        if (is_link || is_dead) TRY(unless_missing(sys::unlink_at(state_dir(), file)));
    }
    return {};
}

Status Store::replace_files(const std::string& text, std::span<const std::string> files) {
    std::string link = new_link_file(getpid());
    blank_.reset();  // where a record needs a name, there is one for each process
    auto record = TRY(NewRecord::make(state_dir()));
    TRY(record.write(text));
    for (const auto& file : files) {
        TRY(unless_missing(sys::unlink_at(state_dir(), link)));
        TRY(record.link_to(state_dir(), link));
        Status renamed = sys::rename_at(state_dir(), link, registry_dir(), file);
        if (renamed) continue;
        static_cast<void>(sys::unlink_at(state_dir(), link));
        return renamed;
    }
    return {};
}

// The entry first: from then on the new record counts, whatever the other names still stand for.
Status Store::update(const Lock&, const Registration& registration) {
    std::vector<std::string> files = link_files(registration);
    files.insert(files.begin(), entry_file(registration.userns.inode));
    TRY(make_directory(registry_dir(), owner_directory(registration.owner)));
    return replace_files(format_registration(registration), files);
}

}  // namespace nsr::registry
