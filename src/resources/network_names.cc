// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/network_names.h"

#include <linux/if.h>
#include <xxhash.h>
#include <algorithm>

#include <fmt/format.h>

namespace nsr::resources {

namespace {

constexpr std::string_view kPrefix = "ns-";
constexpr uint64_t kNameSeed = 1, kHostMacSeed = 2, kInsideMacSeed = 3;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_allowed(char c) { return c > ' ' && c <= '~' && c != '/' && c != ':' && c != '%'; }

uint64_t hash(std::string_view text, uint64_t seed) { return XXH3_64bits_withSeed(text.data(), text.size(), seed); }

// No two purposes have the same text, since names have no space in them.
std::string describe(const LinkPurpose& purpose) {
    std::string text = fmt::format("{} {}", purpose.mode == LinkMode::kVeth ? "veth" : "tap", purpose.registration);
    if (purpose.interface_name) text += fmt::format(" {}", *purpose.interface_name);
    return text;
}

enum class Side : uint8_t { kHost = 0, kInside = 1 };

MacAddress make_mac(uint64_t random, Side side) {
    MacAddress mac{};
    for (size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<uint8_t>(random >> (8 * i));
    mac[0] = static_cast<uint8_t>((mac[0] & ~1u) | 2u);                           // unicast, locally administered
    mac[5] = static_cast<uint8_t>((mac[5] & ~1u) | static_cast<unsigned>(side));  // never the same on both sides
    return mac;
}

}  // namespace

bool is_valid_interface_name(std::string_view name) {
    if (name.empty() || name.size() >= IFNAMSIZ) return false;
    if (!std::ranges::all_of(name, is_allowed)) return false;
    if (std::ranges::all_of(name, is_digit)) return false;  // would be taken for an interface index
    // The last two are directories of /proc/sys/net/ipv4/conf beside those of the interfaces.
    return name != "." && name != ".." && name != "all" && name != "default";
}

std::string host_interface_name(const LinkPurpose& purpose) {
    return fmt::format("{}{:012x}", kPrefix, hash(describe(purpose), kNameSeed) >> 16);
}

std::string alternative_name(const LinkPurpose& purpose) {
    std::string name = fmt::format("{}{}-{}", kPrefix, purpose.owner, purpose.registration);
    if (purpose.interface_name) name += fmt::format("-{}", *purpose.interface_name);
    return name;
}

bool is_alternative_name_of(std::string_view alternative, Uid owner, std::string_view registration) {
    std::string stem = alternative_name({LinkMode::kVeth, owner, registration, std::nullopt});
    if (!alternative.starts_with(stem)) return false;
    alternative.remove_prefix(stem.size());
    return alternative.empty() || (alternative.front() == '-' && is_valid_interface_name(alternative.substr(1)));
}

MacAddress host_mac_address(std::string_view host_interface_name) {
    return make_mac(hash(host_interface_name, kHostMacSeed), Side::kHost);
}

MacAddress inside_mac_address(const LinkPurpose& purpose) {
    return make_mac(hash(describe(purpose), kInsideMacSeed), Side::kInside);
}

}  // namespace nsr::resources
