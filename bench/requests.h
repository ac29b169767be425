// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

/// Texts of calls, with their NUL, as real clients send them (interface.md section 8).
namespace nsr::bench {

/// A range of 65536 for the namespace whose descriptor goes with it; another name each time. Root's names are taken as
/// they are, another user's are prefixed with the uid.
std::string allocate_request();
/// A call of NamespaceResource about the namespace that is the first descriptor, with these parameters beside that.
std::string namespace_call(std::string_view method, std::string_view parameters);
std::string user_record_request(Uid uid);
std::string memberships_request();
/// The user record of the first id of a namespace.
std::string first_user_request(const std::string& full_name);

}  // namespace nsr::bench
