// SPDX-License-Identifier: LGPL-2.1-or-later
#include "remains.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "base/sys.h"
#include "spaces.h"

namespace nsr::channels {

namespace {

uint32_t word_at(const std::string& blob, size_t offset) {
    uint32_t word = 0;
    std::memcpy(&word, blob.data() + offset, sizeof word);
    return word;
}

std::string xattr_of(const std::string& path, const char* name) {
    std::string value(65536, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    value.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return value;
}

/// Version, then entries of a tag (16 bits), permissions (16 bits) and an id; only named users and groups have one.
void look_at_acl(const std::string& path, const char* name, Remains& found) {
    const std::string acl = xattr_of(path, name);
    for (size_t at = 4; at + 8 <= acl.size(); at += 8) {
        const uint32_t tag = word_at(acl, at) & 0xffff, id = word_at(acl, at + 4);
        if ((tag == 2 || tag == 8) && is_transient(id)) found.insert(fmt::format("{}: {} names {}", path, name, id));
    }
}

/// A capability of version 3 ends with the root that it is good for.
void look_at_capability(const std::string& path, Remains& found) {
    const std::string value = xattr_of(path, "security.capability");
    if (value.size() < 24) return;
    const uint32_t root = word_at(value, 20);
    if (is_transient(root)) found.insert(fmt::format("{}: file capability of root {}", path, root));
}

void look_at(const std::string& path, Remains& found) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) < 0) return;
    if (is_transient(status.st_uid) || is_transient(status.st_gid))
        found.insert(fmt::format("{}: {}:{}, inode {}", path, status.st_uid, status.st_gid, status.st_ino));
    if (S_ISLNK(status.st_mode)) return;
    look_at_acl(path, "system.posix_acl_access", found);
    look_at_acl(path, "system.posix_acl_default", found);
    look_at_capability(path, found);
}

void walk(const std::string& path, Remains& found) {
    look_at(path, found);
    auto names = sys::list_directory(sys::kCwd, path);
    if (!names) return;
    for (const auto& name : *names) {
        const std::string below = path + "/" + name;
        struct stat status{};
        if (::lstat(below.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
            walk(below, found);
        else
            look_at(below, found);
    }
}

using Row = std::map<std::string, uint64_t>;

/// /proc/sysvipc/KIND as rows by the names of its columns.
std::vector<Row> ipc_rows(const std::string& kind) {
    std::ifstream file("/proc/sysvipc/" + kind);
    std::string line;
    std::getline(file, line);
    std::istringstream head(line);
    const std::vector<std::string> names{std::istream_iterator<std::string>(head), {}};
    std::vector<Row> rows;
    while (std::getline(file, line)) {
        std::istringstream cells(line);
        Row row;
        int64_t value = 0;
        for (const auto& name : names)
            if (cells >> value) row[name] = static_cast<uint64_t>(value);
        rows.push_back(std::move(row));
    }
    return rows;
}

void look_at_sysv(const std::string& kind, Remains& found) {
    for (auto& row : ipc_rows(kind))
        for (const char* column : {"uid", "gid", "cuid", "cgid"})
            if (is_transient(row[column]))
                found.insert(fmt::format("{} {}: {} {}", kind, row[kind + "id"], column, row[column]));
}

}  // namespace

Remains transient_files(const std::string& directory) {
    Remains found;
    walk(directory, found);
    return found;
}

Remains transient_ipc(const std::string& mqueue) {
    Remains found = transient_files(mqueue);
    for (const char* kind : {"shm", "sem", "msg"}) look_at_sysv(kind, found);
    return found;
}

void remove_ipc(const std::string& mqueue) {
    empty_directory(mqueue);
    for (auto& row : ipc_rows("shm")) ::shmctl(static_cast<int>(row["shmid"]), IPC_RMID, nullptr);
    for (auto& row : ipc_rows("sem")) ::semctl(static_cast<int>(row["semid"]), 0, IPC_RMID);
    for (auto& row : ipc_rows("msg")) ::msgctl(static_cast<int>(row["msqid"]), IPC_RMID, nullptr);
}

std::vector<std::string> added(const Remains& before, const Remains& after) {
    std::vector<std::string> list;
    std::ranges::set_difference(after, before, std::back_inserter(list));
    return list;
}

void empty_directory(const std::string& directory) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
        std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace nsr::channels
