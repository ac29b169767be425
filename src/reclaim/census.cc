// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/census.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <algorithm>
#include <array>

#include "base/sys.h"
#include "reclaim/id_text.h"

namespace nsr::reclaim {

namespace {

constexpr size_t kMaxText = 4 * 1024 * 1024;

bool is_number(const std::string& name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

// Of each thread, "12/task/34": they may differ in ids, descriptors and namespaces. What ends meanwhile is left out.
void each_task(BorrowedFd proc, const std::function<void(const std::string& task, const std::string& who)>& visit) {
    auto processes = sys::list_directory(proc, ".");
    if (!processes) return;
    for (const std::string& pid : *processes) {
        if (!is_number(pid)) continue;
        auto threads = sys::list_directory(proc, pid + "/task");
        if (!threads) continue;
        auto name = sys::read_file_at(proc, pid + "/comm", 256);
        std::string who = fmt::format("process {} ({})", pid, name ? name->substr(0, name->find('\n')) : "?");
        for (const std::string& thread : *threads)
            if (is_number(thread)) visit(fmt::format("{}/task/{}", pid, thread), who);
    }
}

std::string link_at(BorrowedFd proc, const std::string& path) {
    std::array<char, 4096> buffer;
    ssize_t size = ::readlinkat(proc.get(), path.c_str(), buffer.data(), buffer.size());
    return size < 0 ? std::string() : std::string(buffer.data(), static_cast<size_t>(size));
}

// By whatever link of /proc leads to it.
void note_namespace(BorrowedFd proc, const std::string& path, const std::string& who, Census& census) {
    std::string target = link_at(proc, path);
    auto* known = target.starts_with("mnt:[") ? &census.mounts : target.starts_with("ipc:[") ? &census.ipcs : nullptr;
    if (!known) return;
    auto fd = sys::open_at(proc, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return;
    auto st = sys::stat_fd(fd->borrow());
    if (st) known->try_emplace(st->st_ino, Namespace{*std::move(fd), who});
}

void note_maps(BorrowedFd proc, const std::string& task, const std::string& who, std::set<std::string>& seen,
               Findings& findings) {
    if (!seen.insert(link_at(proc, task + "/ns/user")).second) return;
    for (const char* file : {"/uid_map", "/gid_map"}) {
        auto text = sys::read_file_at(proc, task + file, kMaxText);
        if (text) findings.add(ids_of_map(*text), [&] { return who + ", by its id map"; });
    }
}

// File systems inside the kernel, which are mounted nowhere and on which nothing has a name.
bool is_internal(const std::string& path, BorrowedFd proc) {
    constexpr std::array<uint32_t, 11> kInternal{
        PIPEFS_MAGIC,           SOCKFS_MAGIC,    ANON_INODE_FS_MAGIC, NSFS_MAGIC,
        0x50494446 /* pidfs */, DMA_BUF_MAGIC,   SECRETMEM_MAGIC,     0x62646576 /* bdev */,
        PROC_SUPER_MAGIC,       HUGETLBFS_MAGIC, 0x19800202 /* mqueue */};
    UniqueFd fd(::openat(proc.get(), path.c_str(), O_PATH | O_CLOEXEC));
    struct statfs fs{};
    if (!fd || ::fstatfs(fd.get(), &fs) < 0) return true;  // it was closed
    return std::ranges::find(kInternal, static_cast<uint32_t>(fs.f_type)) != kInternal.end();
}

class Descriptors {
public:
    Descriptors(BorrowedFd proc, Findings& findings, const IsKnown& is_known)
        : proc_(proc), findings_(findings), is_known_(is_known) {}

    void look(const std::string& path, const std::string& who) {
        struct statx stx{};
        constexpr unsigned kWanted = STATX_UID | STATX_GID | STATX_MNT_ID;
        if (::statx(proc_.get(), path.c_str(), AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, kWanted, &stx) < 0) return;
        std::string device = fmt::format("{}:{}", stx.stx_dev_major, stx.stx_dev_minor);
        auto where = [&] { return fmt::format("{} in {}", link_at(proc_, path), who); };
        std::array<uint32_t, 2> ids{stx.stx_uid, stx.stx_gid};
        findings_.add(ids, where);
        if (is_known_ && !is_known_(stx.stx_mnt_id, device) && !is_internal(path, proc_))
            findings_.add_problem(where() + ": on a file system that is mounted nowhere");
    }

private:
    BorrowedFd proc_;
    Findings& findings_;
    const IsKnown& is_known_;
};

}  // namespace

Result<Census> take_census(BorrowedFd proc, Findings& findings) {
    Census census;
    std::set<std::string> user_namespaces{link_at(proc, "self/ns/user")};
    each_task(proc, [&](const std::string& task, const std::string& who) {
        auto status = sys::read_file_at(proc, task + "/status", kMaxText);
        if (status) findings.add(ids_of_status(*status), [&] { return who; });
        note_maps(proc, task, who, user_namespaces, findings);
        note_namespace(proc, task + "/ns/mnt", who, census);
        note_namespace(proc, task + "/ns/ipc", who, census);
        auto fds = sys::list_directory(proc, task + "/fd");
        if (!fds) return;
        for (const std::string& fd : *fds) note_namespace(proc, fmt::format("{}/fd/{}", task, fd), who, census);
    });
    if (census.mounts.empty() || census.ipcs.empty()) return fail(ENOENT, "no processes are seen in /proc");
    return census;
}

void look_at_descriptors(BorrowedFd proc, Findings& findings, const IsKnown& is_known,
                         const std::function<void()>& tick) {
    Descriptors descriptors(proc, findings, is_known);
    std::string self = fmt::format("{}/", ::getpid()), parent = fmt::format("{}/", ::getppid());
    each_task(proc, [&](const std::string& task, const std::string& who) {
        tick();
        if (task.starts_with(self) || task.starts_with(parent)) return;
        for (const char* place : {"/cwd", "/root", "/exe"}) descriptors.look(task + place, who);
        auto fds = sys::list_directory(proc, task + "/fd");
        if (!fds) return;
        for (const std::string& fd : *fds) descriptors.look(fmt::format("{}/fd/{}", task, fd), who);
    });
}

}  // namespace nsr::reclaim
