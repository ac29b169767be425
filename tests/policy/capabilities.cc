// SPDX-License-Identifier: LGPL-2.1-or-later
// File capabilities, which the kernel stores together with the root of the namespace that set them.
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr const char* kName = "security.capability";

int set(const std::string& path, const std::string& value) { return set_acl(path, kName, value, 0); }

Attempt on_file(Stage& stage, const Space& space, uint32_t owner, const std::string& value) {
    if (!stage.file("f", owner, owner, 0755)) return went_wrong("no file");
    return tried(inside(space, {}, [&] { return set(stage.path("f"), value); }));
}

Attempt by_descriptor(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign, 0755)) return went_wrong("no file");
    const std::string value = capability();
    return tried(stage.inside([&] {
        const UniqueFd fd(::open(stage.path("f").c_str(), O_RDONLY | O_CLOEXEC));
        const int code = code_of(::fsetxattr(fd.get(), kName, value.data(), value.size(), 0));
        return code == EOPNOTSUPP ? lacking(code) : code;
    }));
}

/// A namespace whose root is another id of the range.
Attempt nested(Stage& stage) {
    auto space =
        unmanaged({{0, 100, 10}, {kForeign, kForeign, 10}}, {{0, 100, 10}, {kForeign, kForeign, 10}}, &stage.managed());
    if (!space) return went_wrong(space.error().what());
    return on_file(stage, *space, kForeign, capability());
}

/// A root that is foreign on the host: nothing transient is stored.
Attempt nested_with_foreign_root(Stage& stage) {
    const Map map{{0, kForeign, 1}, {kForeign, kForeign + 1, 10}};
    auto space = unmanaged(map, map, &stage.managed());
    if (!space) return went_wrong(space.error().what());
    return on_file(stage, *space, kForeign + 1, capability());
}

Attempt taken_away(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign, 0755)) return went_wrong("no file");
    if (const int code = set(stage.path("f"), capability_of_root(stage.start())); code != 0)
        return code < 0 ? tried(code) : went_wrong("no capability");
    return tried(stage.inside([&] { return code_of(::removexattr(stage.path("f").c_str(), kName)); }));
}

}  // namespace

void add_capabilities(Table& table) {
    table.channel("file capability", Where::kEach,
                  [](Stage& s) { return on_file(s, s.managed(), kForeign, capability()); });
    table.channel("file capability by fsetxattr", Where::kEach, by_descriptor);
    table.channel("file capability, own file", Where::kEach,
                  [](Stage& s) { return on_file(s, s.managed(), s.start(), capability()); });
    table.channel("file capability of a named root", Where::kEach,
                  [](Stage& s) { return on_file(s, s.managed(), kForeign, capability_of_root(7)); });
    table.channel("file capability, nested namespace", Where::kEach, nested);
    table.channel("file capability of a delegated root, self namespace", Where::kEach,
                  [](Stage& s) { return on_file(s, s.self(), 1000, capability_of_root(s.self().delegated)); });
    table.control("file capability of the user, self namespace", Where::kEach,
                  [](Stage& s) { return on_file(s, s.self(), 1000, capability()); });
    table.control("file capability, root is foreign", Where::kEach, nested_with_foreign_root);
    table.control("file capability taken away", Where::kEach, taken_away);
}

}  // namespace nsr::channels
