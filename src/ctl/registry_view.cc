// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ctl/registry_view.h"

#include <fcntl.h>
#include <algorithm>

#include "base/log.h"
#include "base/sys.h"
#include "registry/file_name.h"
#include "registry/json_text.h"
#include "registry/names.h"

namespace nsr::ctl {

namespace {

using registry::Delegation;
using registry::FileKind;
using registry::Registration;
constexpr uint32_t kContainerRange = 65536;

}  // namespace

Result<RegistryView> RegistryView::open(const Setting& setting) {
    const std::string path = setting.resource_directory() + "/registry";
    auto directory = sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY);
    if (directory) return RegistryView(*std::move(directory));
    if (directory.error().code() == ENOENT)
        return fail(ENOENT, "there is no registry in {}; start nsresourced, or name its socket with --socket=", path);
    return Failure(std::move(directory).error());
}

Result<std::optional<Registration>> RegistryView::read(const std::string& file) const {
    auto text = sys::read_file_at(directory_.borrow(), file, registry::kMaxFileSize);
    if (!text && text.error().code() == ENOENT) return std::nullopt;
    if (!text) return Failure(std::move(text).error());
    Registration registration = TRY_WITHIN(file, registry::parse_registration(*text));
    return registration;
}

Result<std::vector<Registration>> RegistryView::all() const {
    std::vector<Registration> found;
    for (const auto& file : TRY(sys::list_directory(directory_.borrow(), "."))) {
        if (registry::parse_file_name(file).kind != FileKind::kEntry) continue;
        auto registration = read(file);
        if (!registration) {
            log::warning("left out: {}", registration.error().what());
        } else if (*registration && registry::entry_file((*registration)->userns.inode) != file) {
            log::warning("left out: {}: it is of another namespace, {}", file, (*registration)->userns.inode);
        } else if (*registration) {
            found.push_back(**std::move(registration));
        }
    }
    std::ranges::sort(found, {}, &Registration::name);
    return found;
}

Result<std::vector<Delegation>> RegistryView::delegations() const {
    std::vector<Delegation> found;
    for (const auto& file : TRY(sys::list_directory(directory_.borrow(), "."))) {
        const auto name = registry::parse_file_name(file);
        if (name.kind != FileKind::kDelegate) continue;
        auto delegation = delegation_at(Uid(static_cast<uint32_t>(name.number)));
        if (!delegation) {
            log::warning("left out: {}", delegation.error().what());
        } else if (*delegation) {
            found.push_back(**std::move(delegation));
        }
    }
    return found;
}

Result<std::optional<Delegation>> RegistryView::delegation_at(Uid start) const {
    const std::string file = registry::delegate_file(start);
    auto text = sys::read_file_at(directory_.borrow(), file, registry::kMaxFileSize);
    if (!text && text.error().code() == ENOENT) return std::nullopt;
    if (!text) return Failure(std::move(text).error());
    Delegation delegation = TRY_WITHIN(file, registry::parse_delegation(*text));
    if (delegation.start != start) return fail(EBADMSG, "{}: it is of another range, {}", file, delegation.start);
    return delegation;
}

Result<std::optional<Registration>> RegistryView::find_by_inode(NsInode inode) const {
    return read(registry::entry_file(inode));
}

Result<std::optional<Registration>> RegistryView::find_by_name(std::string_view name) const {
    // Also keeps a path out of a file name.
    if (!registry::is_valid_name(name)) return std::nullopt;
    auto registration = TRY(read(fmt::format("n{}.userns", name)));
    if (registration && registration->name != name) return fail(EBADMSG, "n{}.userns is of another name", name);
    return registration;
}

Result<std::optional<Registration>> RegistryView::find_by_uid(Uid uid) const {
    // The links have the names of the first ids, so a uid is looked for as a single one, and as part of a large range.
    const uint32_t container_start = uid.value & ~(kContainerRange - 1);
    for (const uint32_t start : {uid.value, container_start}) {
        auto registration = TRY(read(fmt::format("u{}.userns", start)));
        if (!registration || !registration->is_transient()) continue;
        const auto& range = *registration->range;
        if (range.start.value == start && uid.value - start < range.size) return registration;
    }
    return std::nullopt;
}

Result<boost::json::object> to_json(const Registration& registration) {
    return registry::parse_object(registry::format_registration(registration), {});
}

std::string_view type_of(const Registration& registration) {
    if (!registration.range) return "registered";
    return registration.is_transient() ? "managed" : "self";
}

std::string range_of(const Registration& registration) {
    if (!registration.range) return "-";
    const auto& range = *registration.range;
    if (range.size == 1) return fmt::format("{}", range.start);
    return fmt::format("{}-{}", range.start, uint64_t{range.start.value} + range.size - 1);
}

}  // namespace nsr::ctl
