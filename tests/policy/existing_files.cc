// SPDX-License-Identifier: LGPL-2.1-or-later
// What is there may be used, changed, moved and removed, as far as its permissions say.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stage.h"
#include "table.h"

namespace nsr::channels {

namespace {

/// On two files, "f" and "g", which the namespace owns.
Attempt with_files(Stage& stage, const std::function<int(const std::string& f, const std::string& g)>& use) {
    if (!stage.file("f", stage.start(), stage.start()) || !stage.file("g", stage.start(), stage.start()))
        return went_wrong("no file");
    return tried(stage.inside([&] { return use(stage.path("f"), stage.path("g")); }));
}

UniqueFd open_existing(const std::string& path, int flags) { return UniqueFd(::open(path.c_str(), flags | O_CLOEXEC)); }

int write_and_read(const std::string& f, const std::string&) {
    const UniqueFd fd = open_existing(f, O_RDWR);
    if (!fd) return errno;
    if (::pwrite(fd.get(), "text", 4, 0) != 4) return errno;
    char buffer[4];
    return ::pread(fd.get(), buffer, 4, 0) == 4 ? 0 : errno;
}

int create_existing(const std::string& f, const std::string&) {
    const UniqueFd fd(::open(f.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644));
    return code_of(fd.get());
}

int copy_range(const std::string& f, const std::string& g) {
    if (const int code = write_and_read(f, g); code != 0) return code;
    const UniqueFd from = open_existing(f, O_RDONLY), to = open_existing(g, O_WRONLY);
    return ::copy_file_range(from.get(), nullptr, to.get(), nullptr, 4, 0) == 4 ? 0 : errno;
}

int set_times(const std::string& f, const std::string&) {
    const timespec times[2] = {{1, 0}, {2, 0}};
    return code_of(::utimensat(AT_FDCWD, f.c_str(), times, 0));
}

int change_modes(const std::string& f, const std::string&) {
    if (::chmod(f.c_str(), 06755) < 0) return errno;
    return code_of(::chmod(f.c_str(), 0600));
}

int user_attribute(const std::string& f, const std::string&) {
    if (::setxattr(f.c_str(), "user.channels", "x", 1, 0) < 0) return errno == EOPNOTSUPP ? lacking(errno) : errno;
    return code_of(::removexattr(f.c_str(), "user.channels"));
}

int move_within(const std::string& f, const std::string&) {
    return code_of(::rename(f.c_str(), (f + ".moved").c_str()));
}

int move_over(const std::string& f, const std::string& g) { return code_of(::rename(f.c_str(), g.c_str())); }

int exchange(const std::string& f, const std::string& g) {
    return code_of(::renameat2(AT_FDCWD, f.c_str(), AT_FDCWD, g.c_str(), RENAME_EXCHANGE));
}

int not_replacing(const std::string& f, const std::string&) {
    return code_of(::renameat2(AT_FDCWD, f.c_str(), AT_FDCWD, (f + ".moved").c_str(), RENAME_NOREPLACE));
}

Attempt move_between(Stage& stage) {
    if (!stage.directory("a", 0, 0) || !stage.directory("b", 0, 0) || !stage.file("a/f", stage.start(), stage.start()))
        return went_wrong("no file");
    return tried(stage.inside([&] { return code_of(::rename(stage.path("a/f").c_str(), stage.path("b/f").c_str())); }));
}

Attempt remove_all(Stage& stage) {
    if (!stage.directory("d", stage.start(), stage.start()) || !stage.file("f", kForeign, kForeign))
        return went_wrong("no file");
    return tried(stage.inside([&] {
        if (::rmdir(stage.path("d").c_str()) < 0) return errno;
        return code_of(::unlink(stage.path("f").c_str()));
    }));
}

Attempt link_foreign(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign, 0666)) return went_wrong("no file");
    return tried(stage.inside([&] { return code_of(::link(stage.path("f").c_str(), stage.path("g").c_str())); }));
}

/// Writing takes set-user-ID bits away: a change of attributes, but not of ids.
Attempt write_set_user_id(Stage& stage) {
    if (!stage.file("f", kForeign, kForeign, 06777)) return went_wrong("no file");
    return tried(stage.inside({.uid = 5, .gid = 5}, [&] {
        const UniqueFd fd = open_existing(stage.path("f"), O_WRONLY);
        return ::write(fd.get(), "x", 1) == 1 ? 0 : errno;
    }));
}

Attempt exists_already(Stage& stage) {
    if (!stage.directory("d", 0, 0)) return went_wrong("no directory");
    return tried(stage.inside([&] {
        const int code = code_of(::mkdir(stage.path("d").c_str(), 0755));
        return code == EEXIST ? 0 : code == 0 ? ENOTRECOVERABLE : code;
    }));
}

}  // namespace

void add_existing_files(Table& table) {
    const auto add = [&](const char* name, int (*use)(const std::string&, const std::string&)) {
        table.control(name, Where::kEach, [use](Stage& stage) { return with_files(stage, use); });
    };
    add("existing file: read and write", write_and_read);
    add("existing file: open(O_CREAT | O_TRUNC)", create_existing);
    add("existing file: truncate",
        [](const std::string& f, const std::string&) { return code_of(::truncate(f.c_str(), 9)); });
    add("existing file: copy_file_range", copy_range);
    add("existing file: times", set_times);
    add("existing file: modes", change_modes);
    add("existing file: user.* attribute", user_attribute);
    add("existing file: rename", move_within);
    add("existing file: rename over another", move_over);
    add("existing file: RENAME_EXCHANGE", exchange);
    add("existing file: RENAME_NOREPLACE", not_replacing);
    table.control("existing file: rename between directories", Where::kEach, move_between);
    table.control("existing file: unlink and rmdir", Where::kEach, remove_all);
    table.control("existing file: link of a foreign one", Where::kEach, link_foreign);
    table.control("existing file: write to a set-user-ID one", Where::kEach, write_set_user_id);
    table.control("existing directory: mkdir says EEXIST", Where::kEach, exists_already);
}

}  // namespace nsr::channels
