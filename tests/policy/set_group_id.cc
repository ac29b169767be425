// SPDX-License-Identifier: LGPL-2.1-or-later
// Directories that hand down their group (set-group-ID, `grpid` mounts) or their default ACL.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acl.h"
#include "makers.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

constexpr As kForeigner{.uid = kForeign, .gid = kForeign, .capable = true};

Attempt refused_in(Stage& stage, uint32_t group, unsigned mode, const As& as) {
    if (!stage.directory("d", 0, group, mode)) return went_wrong("no directory");
    return tried(stage.inside(as, [&] { return refused_all(stage.path("d")); }));
}

/// The group that is recorded is the directory's, so that it does not matter that the process has another one.
Attempt allowed_in(Stage& stage, unsigned mode, const As& as) {
    if (!stage.directory("d", 0, kForeign + 3, mode)) return went_wrong("no directory");
    const int code = stage.inside(as, [&] { return allowed_all(stage.path("d")); });
    return tried(code != 0 ? code : check_owner(stage.path("d/mkdir"), kForeign, kForeign + 3));
}

/// Without set-group-ID or a mount option a directory's group is its own affair.
Attempt group_not_handed_down(Stage& stage) {
    if (!stage.directory("d", 0, stage.start(), 0777)) return went_wrong("no directory");
    const int code = stage.inside(kForeigner, [&] { return allowed_all(stage.path("d")); });
    return tried(code != 0 ? code : check_owner(stage.path("d/mkdir"), kForeign, kForeign));
}

Attempt temporary_file_in(Stage& stage) {
    if (!stage.directory("d", 0, stage.start(), 02777)) return went_wrong("no directory");
    return tried(
        stage.inside(kForeigner, [&] { return make_temporary_file(stage.path("d"), stage.path("d/linked")); }));
}

/// The host itself wrote the entry, before the namespace was there or after.
Attempt inherited_acl(Stage& stage) {
    if (!stage.directory("d", 0, 0)) return went_wrong("no directory");
    if (const int code = set_acl(stage.path("d"), "system.posix_acl_default", acl_for(kUserTag, stage.start()), 0);
        code != 0)
        return went_wrong("no default ACL");
    stage.note_prepared();
    return tried(stage.inside(kForeigner, [&] { return refused_all(stage.path("d")); }));
}

Attempt inherited_harmless_acl(Stage& stage) {
    if (!stage.directory("d", 0, 0)) return went_wrong("no directory");
    if (const int code = set_acl(stage.path("d"), "system.posix_acl_default", acl_for(kUserTag, kForeign + 2), 0);
        code != 0)
        return went_wrong("no default ACL");
    return tried(stage.inside(kForeigner, [&] { return allowed_all(stage.path("d")); }));
}

}  // namespace

void add_set_group_id(Table& table) {
    table.channel("set-group-ID directory, transient group", Where::kEach,
                  [](Stage& stage) { return refused_in(stage, stage.start(), 02777, kForeigner); });
    table.channel("set-group-ID directory, transient user", Where::kEach,
                  [](Stage& stage) { return refused_in(stage, kForeign, 02777, {.uid = 5, .gid = kForeign}); });
    table.channel("set-group-ID directory, O_TMPFILE", Where::kEach, temporary_file_in);
    table.control("set-group-ID directory of another group", Where::kEach,
                  [](Stage& stage) { return allowed_in(stage, 02777, {.uid = kForeign, .gid = 5, .capable = true}); });
    table.control("ordinary directory of a transient group, foreign ids", Where::kEach, group_not_handed_down);
    table.channel("grpid mount, transient group", Where::kGrpid,
                  [](Stage& stage) { return refused_in(stage, stage.start(), 0777, kForeigner); });
    table.channel("grpid mount, transient user", Where::kGrpid,
                  [](Stage& stage) { return refused_in(stage, kForeign, 0777, {.uid = 5, .gid = kForeign}); });
    table.control("grpid mount, directory of another group", Where::kGrpid,
                  [](Stage& stage) { return allowed_in(stage, 0777, {.uid = kForeign, .gid = 5, .capable = true}); });
    table.report("default ACL of the host's, handed down", Where::kEach,
                 "the host put the id there itself; what is made inherits it", inherited_acl);
    table.control("default ACL naming a foreign id", Where::kEach, inherited_harmless_acl);
}

}  // namespace nsr::channels
