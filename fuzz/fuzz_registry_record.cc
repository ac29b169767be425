// SPDX-License-Identifier: LGPL-2.1-or-later
// Records of the registry: whatever can be read is written so that it is read as the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "registry/delegation.h"
#include "registry/registration.h"

namespace {

void check_registration(std::string_view text) {
    auto first = nsr::registry::parse_registration(text);
    if (!first) return;
    auto second = nsr::registry::parse_registration(nsr::registry::format_registration(*first));
    if (!second) std::abort();
    // Fractions in fields of other versions may change in their last digit when they are written.
    if (first->unknown_fields.size() != second->unknown_fields.size()) std::abort();
    first->unknown_fields.clear();
    second->unknown_fields.clear();
    if (*first != *second) std::abort();
}

void check_delegation(std::string_view text) {
    auto first = nsr::registry::parse_delegation(text);
    if (!first) return;
    auto second = nsr::registry::parse_delegation(nsr::registry::format_delegation(*first));
    if (!second || *first != *second) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_registration(text);
    check_delegation(text);
    return 0;
}
