// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "base/fd.h"
#include "base/result.h"
#include "ctl/options.h"
#include "registry/delegation.h"
#include "registry/registration.h"

namespace nsr::ctl {

/// The service's registry, as anybody may read it, while the service goes on changing it.
class RegistryView {
public:
    static Result<RegistryView> open(const Setting& setting);

    /// All registrations, sorted by name. What vanishes meanwhile is left out, what is broken too, with a warning.
    Result<std::vector<registry::Registration>> all() const;
    /// All delegated ranges, with who holds them; as above.
    Result<std::vector<registry::Delegation>> delegations() const;
    Result<std::optional<registry::Delegation>> delegation_at(Uid start) const;
    Result<std::optional<registry::Registration>> find_by_inode(NsInode inode) const;
    Result<std::optional<registry::Registration>> find_by_name(std::string_view name) const;
    /// The one whose transient range has this uid in it.
    Result<std::optional<registry::Registration>> find_by_uid(Uid uid) const;

private:
    explicit RegistryView(UniqueFd directory) : directory_(std::move(directory)) {}
    Result<std::optional<registry::Registration>> read(const std::string& file) const;

    UniqueFd directory_;
};

/// The fields as they are on disk.
Result<boost::json::object> to_json(const registry::Registration& registration);
/// "managed", "self", or "registered", where there is no range.
std::string_view type_of(const registry::Registration& registration);
/// "524288-589823", "61200" for a single id, "-" for none.
std::string range_of(const registry::Registration& registration);

}  // namespace nsr::ctl
