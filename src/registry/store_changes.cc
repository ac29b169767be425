// SPDX-License-Identifier: LGPL-2.1-or-later
// The changing half of the store. The entry itself is linked first and unlinked last: whatever else there is of a
// registration, recover() finds it by its entry.
#include <fcntl.h>
#include <unistd.h>
#include <ranges>

#include "base/log.h"
#include "base/sys.h"
#include "registry/directory.h"
#include "registry/file_name.h"
#include "registry/names.h"
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

Status write_new_file(BorrowedFd dir, const std::string& file, std::string_view text) {
    UniqueFd fd = TRY(sys::open_at(dir, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    TRY(sys::set_mode(fd.borrow(), 0644));
    return sys::write_all(fd.borrow(), text);
}

// `made` is a beginning of: entry, links, owner's link.
Status undo_links(BorrowedFd registry, Uid owner, std::span<const std::string> made) {
    for (const auto& file : std::views::reverse(made)) {
        if (&file == &made.front()) TRY(remove_owner_directory(registry, owner));
        TRY(unless_missing(sys::unlink_at(registry, file)));
    }
    return {};
}

Status make_links(BorrowedFd registry, BorrowedFd from_dir, const std::string& from, const Registration& registration,
                  std::span<const std::string> files, size_t& made) {
    for (const auto& file : files) {
        Status linked = sys::link_at(from_dir, from, registry, file);
        if (!linked && linked.error().code() == ENOENT && &file == &files.back()) {
            TRY(make_directory(registry, owner_directory(registration.owner)));
            linked = sys::link_at(from_dir, from, registry, file);
        }
        if (!linked) return linked;
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

Status Store::add(const Lock&, const Registration& registration, pid_t writer) {
    if (!is_valid_name(registration.name)) return fail(EINVAL, "not a name that a registration can have");
    std::string pending = pending_file(writer);
    std::string text = format_registration(registration);
    // What cannot be read again would never be released.
    TRY_WITHIN("record to be written", parse_registration(text));
    Status written = write_new_file(pending_.borrow(), pending, text);
    if (!written && written.error().code() == EEXIST) {
        // What an earlier call of this writer left unfinished stays recorded, if it was, until its namespace dies.
        TRY(drop_pending(writer));
        written = write_new_file(pending_.borrow(), pending, text);
    }
    if (!written) {
        if (Status dropped = drop_pending(writer); !dropped) log::warning("{}", dropped.error().what());
        return written;
    }
    std::vector<std::string> files = link_files(registration);
    files.insert(files.begin(), entry_file(registration.userns.inode));
    size_t made = 0;
    Status linked = make_links(registry_dir(), pending_.borrow(), pending, registration, files, made);
    if (linked) linked = take_delegations(registration);
    if (linked) return {};
    Status undone = give_back_delegations(registration);
    if (undone) undone = undo_links(registry_dir(), registration.owner, std::span(files).first(made));
    if (undone) undone = drop_pending(writer);
    // The pending record stays in this case, so that the manager tries again.
    if (!undone) log::warning("cannot undo the record of a failed call: {}", undone.error().what());
    return linked;
}

Status Store::commit(pid_t writer) { return sys::unlink_at(pending_.borrow(), pending_file(writer)); }

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

Result<Progress> Store::progress(const Registration& registration) const {
    auto st = TRY(sys::stat_at(registry_dir(), entry_file(registration.userns.inode)));
    return st.st_nlink > link_files(registration).size() + 1 ? Progress::kPending : Progress::kCommitted;
}

Status Store::begin_addition(const Lock&, const Registration& added, pid_t writer) {
    std::string file = addition_file(writer);
    TRY(unless_missing(sys::unlink_at(pending_.borrow(), file)));
    return write_new_file(pending_.borrow(), file, format_registration(added));
}

Status Store::end_addition(pid_t writer) { return sys::unlink_at(pending_.borrow(), addition_file(writer)); }

Result<std::optional<Registration>> Store::read_addition(pid_t writer) const {
    auto added = read_record(pending_.borrow(), addition_file(writer));
    if (!added && added.error().code() == EBADMSG) return std::nullopt;
    return added;
}

Result<std::vector<pid_t>> Store::pending() const {
    std::vector<pid_t> writers;
    TRY(visit_directory(pending_.borrow(), ".", [&](std::string_view file, uint64_t) {
        if (std::optional<pid_t> writer = parse_pending_file(file)) writers.push_back(*writer);
    }));
    return writers;
}

Result<std::optional<Registration>> Store::read_pending(pid_t writer) const {
    std::string file = pending_file(writer);
    auto st = sys::stat_at(pending_.borrow(), file);
    if (!st && st.error().code() == ENOENT) return std::nullopt;
    if (!st) return std::unexpected(std::move(st).error());
    // No link was made: what the file says may be cut off, or be about a namespace that another call registered.
    if (st->st_nlink == 1) return std::nullopt;
    return read_record(pending_.borrow(), file);
}

Status Store::drop_pending(pid_t writer) {
    for (const auto& file : {addition_file(writer), new_link_file(writer), new_content_file(writer)})
        TRY(unless_missing(sys::unlink_at(pending_.borrow(), file)));
    return unless_missing(sys::unlink_at(pending_.borrow(), pending_file(writer)));
}

Status Store::replace_files(const std::string& text, std::span<const std::string> files) {
    BorrowedFd pending = pending_.borrow();
    std::string content = new_content_file(getpid()), link = new_link_file(getpid());
    TRY(unless_missing(sys::unlink_at(pending, content)));
    TRY(write_new_file(pending, content, text));
    for (const auto& file : files) {
        TRY(unless_missing(sys::unlink_at(pending, link)));
        TRY(sys::link_at(pending, content, pending, link));
        TRY(sys::rename_at(pending, link, registry_dir(), file));
    }
    return sys::unlink_at(pending, content);
}

// The entry first: from then on the new record counts, whatever the other names still stand for.
Status Store::update(const Lock&, const Registration& registration) {
    std::vector<std::string> files = link_files(registration);
    files.insert(files.begin(), entry_file(registration.userns.inode));
    return replace_files(format_registration(registration), files);
}

}  // namespace nsr::registry
