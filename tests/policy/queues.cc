// SPDX-License-Identifier: LGPL-2.1-or-later
// POSIX message queues.
#include <fcntl.h>
#include <mqueue.h>
#include <unistd.h>

#include "makers.h"
#include "mounts.h"
#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

int make_queue(const char* name) {
    const mqd_t queue = ::mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, nullptr);
    if (queue == static_cast<mqd_t>(-1)) return errno;
    ::mq_close(queue);
    return 0;
}

/// The queue, and whom it belongs to, seen by root in the mount of mqueue.
Attempt looked_at(Stage& stage, int code) {
    const Remains found = transient_ipc(stage.mqueue());
    Attempt attempt = tried(code, {found.begin(), found.end()});
    remove_ipc(stage.mqueue());
    return attempt;
}

Attempt queue_as(Stage& stage, const Space& space, const As& as) {
    return looked_at(stage, inside(space, as, [] { return make_queue("/channels"); }));
}

/// A failed creation on an id-mapped mount comes before it.
Attempt after_failure(Stage& stage) {
    auto map = unmanaged({{kForeign, stage.start(), kRangeSize}}, {{kForeign, stage.start(), kRangeSize}});
    const UniqueFd tree = clone_tree(stage.dir());
    if (!map || map_ids(tree, map->fd) != 0) return not_here("no id-mapped mounts here");
    ::close(::open(stage.path("there").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    return looked_at(stage, stage.inside([&] {
        const int code = make_file("/proc/self/fd/" + std::to_string(tree.get()) + "/there");
        return code != EEXIST ? lacking(code) : make_queue("/channels");
    }));
}

Attempt give_queue(Stage& stage) {
    return looked_at(stage, stage.inside({.uid = kForeign, .gid = kForeign, .capable = true}, [] {
        const mqd_t queue = ::mq_open("/channels", O_CREAT | O_RDWR, 0600, nullptr);
        return queue < 0 ? lacking(errno) : code_of(::fchown(queue, 5, 5));
    }));
}

}  // namespace

void add_queues(Table& table) {
    table.channel("POSIX queue", Where::kOnce, [](Stage& s) { return queue_as(s, s.managed(), {}); });
    table.channel("POSIX queue, group alone", Where::kOnce,
                  [](Stage& s) { return queue_as(s, s.managed(), {.uid = kForeign, .gid = 5, .capable = true}); });
    table.channel("POSIX queue, delegated id of a self namespace", Where::kOnce, [](Stage& s) {
        return queue_as(s, s.self(), {.uid = s.self().delegated, .gid = s.self().delegated});
    });
    table.channel("POSIX queue of foreign ids, chown", Where::kOnce, give_queue);
    table.channel("POSIX queue after a failure on a mapped mount", Where::kEach, after_failure);
    table.control("POSIX queue, foreign ids", Where::kOnce,
                  [](Stage& s) { return queue_as(s, s.managed(), {.uid = kForeign, .gid = kForeign}); });
    table.control("POSIX queue, self namespace as its user", Where::kOnce,
                  [](Stage& s) { return queue_as(s, s.self(), {}); });
    table.control("POSIX queue in an IPC namespace of its own", Where::kOnce,
                  [](Stage& s) { return queue_as(s, s.managed(), {.ipc = true}); });
}

}  // namespace nsr::channels
