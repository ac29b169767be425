// SPDX-License-Identifier: LGPL-2.1-or-later
// System V shared memory, semaphores and message queues.
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

union SemaphoreArgument {
    int value;
    semid_ds* buffer;
};

/// One of the three kinds: to make one, and to change its owner.
struct Family {
    const char* name;
    int (*make)();
    int (*set)(int id, uid_t uid, gid_t gid);
};

int set_memory(int id, uid_t uid, gid_t gid) {
    shmid_ds data{};
    data.shm_perm.uid = uid, data.shm_perm.gid = gid, data.shm_perm.mode = 0600;
    return code_of(::shmctl(id, IPC_SET, &data));
}
int set_semaphore(int id, uid_t uid, gid_t gid) {
    semid_ds data{};
    data.sem_perm.uid = uid, data.sem_perm.gid = gid, data.sem_perm.mode = 0600;
    SemaphoreArgument argument{};
    argument.buffer = &data;
    return code_of(::semctl(id, 0, IPC_SET, argument));
}
int set_queue(int id, uid_t uid, gid_t gid) {
    msqid_ds data{};
    data.msg_perm.uid = uid, data.msg_perm.gid = gid, data.msg_perm.mode = 0600, data.msg_qbytes = 1024;
    return code_of(::msgctl(id, IPC_SET, &data));
}

const Family kFamilies[] = {
    {"shared memory", [] { return ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); }, set_memory},
    {"semaphores", [] { return ::semget(IPC_PRIVATE, 1, IPC_CREAT | 0600); }, set_semaphore},
    {"message queue", [] { return ::msgget(IPC_PRIVATE, IPC_CREAT | 0600); }, set_queue},
};

Attempt looked_at(Stage& stage, int code) {
    const Remains found = transient_ipc(stage.mqueue());
    Attempt attempt = tried(code, {found.begin(), found.end()});
    remove_ipc(stage.mqueue());
    return attempt;
}

constexpr As kForeigner{.uid = kForeign, .gid = kForeign, .capable = true};

Attempt make(Stage& stage, const Family& family, const Space& space, const As& as) {
    return looked_at(stage, inside(space, as, [&] { return code_of(family.make()); }));
}

/// Made with ids that are free, then given away.
Attempt give(Stage& stage, const Family& family, const Space& space, const As& as, uid_t uid, gid_t gid) {
    return looked_at(stage, inside(space, as, [&] {
                         const int id = family.make();
                         return id < 0 ? lacking(errno) : family.set(id, uid, gid);
                     }));
}

/// In an IPC namespace that somebody unmanaged made; this process's is one.
Attempt huge_memory(Stage& stage) {
    return looked_at(stage, stage.inside([] {
        const int id = ::shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600);
        return id < 0 && errno != EPERM ? lacking(errno) : code_of(id);
    }));
}

Attempt in_nested(Stage& stage, const Family& family) {
    return looked_at(stage, stage.inside([&] {
        if (::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
        return code_of(family.make());
    }));
}

/// Its own IPC namespace dies with it, also for a namespace further down.
Attempt in_own(Stage& stage, const Family& family, bool nested) {
    return looked_at(stage, stage.inside({.ipc = true}, [&] {
        if (nested && ::unshare(CLONE_NEWUSER) < 0) return lacking(errno);
        const int id = family.make();
        return id < 0 ? errno : nested ? 0 : family.set(id, 7, 7);
    }));
}

}  // namespace

void add_system_v(Table& table) {
    for (const auto& family : kFamilies) {
        const std::string name = std::string("System V ") + family.name;
        table.channel(name, Where::kOnce, [&](Stage& s) { return make(s, family, s.managed(), {}); });
        table.channel(name + ", group alone", Where::kOnce, [&](Stage& s) {
            return make(s, family, s.managed(), {.uid = kForeign, .gid = 5, .capable = true});
        });
        table.channel(name + ", nested namespace", Where::kOnce, [&](Stage& s) { return in_nested(s, family); });
        table.channel(name + ", delegated id of a self namespace", Where::kOnce, [&](Stage& s) {
            return make(s, family, s.self(), {.uid = s.self().delegated, .gid = s.self().delegated});
        });
        table.channel(name + ", IPC_SET to a transient user", Where::kOnce,
                      [&](Stage& s) { return give(s, family, s.managed(), kForeigner, 5, kForeign); });
        table.channel(name + ", IPC_SET to a transient group", Where::kOnce,
                      [&](Stage& s) { return give(s, family, s.managed(), kForeigner, kForeign, 5); });
        table.channel(name + ", IPC_SET to a delegated id, self namespace", Where::kOnce,
                      [&](Stage& s) { return give(s, family, s.self(), {}, s.self().delegated, 0); });
        table.control(name + ", foreign ids", Where::kOnce,
                      [&](Stage& s) { return make(s, family, s.managed(), kForeigner); });
        table.control(name + ", self namespace as its user", Where::kOnce,
                      [&](Stage& s) { return make(s, family, s.self(), {}); });
        table.report(name + ", IPC_SET that leaves the owner", Where::kOnce,
                     "the kernel does not show the new owner where it can be refused",
                     [&](Stage& s) { return give(s, family, s.managed(), kForeigner, kForeign, kForeign); });
        table.control(name + " in an IPC namespace of its own", Where::kOnce,
                      [&](Stage& s) { return in_own(s, family, false); });
        table.control(name + " there, further down", Where::kOnce, [&](Stage& s) { return in_own(s, family, true); });
    }
    table.channel("System V shared memory, huge pages", Where::kOnce, huge_memory)
        .anyway("huge pages are for those whom the host allows them");
}

}  // namespace nsr::channels
