// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <optional>
#include <string>

#include "file_system.h"
#include "remains.h"
#include "spaces.h"

namespace nsr::channels {

/// The namespaces that most cases share, got from the real service, and where things are.
class Setting {
public:
    static Result<Setting> make(std::string socket, std::string level, std::string scratch);

    /// 65536 ids, one delegated range and the foreign one, of uid 1000.
    Space managed;
    /// One id of the other pool, of uid 1001.
    Space single;
    /// `type: self` of uid 1000, as root inside, with one delegated range.
    Space self;

    std::string socket, level, scratch;
    /// A mount of mqueue for this IPC namespace.
    std::string mqueue;
};

/// What a case has: a file system, and on it a directory of its own that everybody may write.
class Stage {
public:
    Stage(Setting& setting, const FileSystem& fs, std::string directory)
        : setting_(setting), fs_(fs), directory_(std::move(directory)) {}

    const std::string& dir() const { return directory_; }
    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    const FileSystem& fs() const { return fs_; }
    bool is_tmpfs() const { return fs_.kind == FileSystem::Kind::kTmpfs; }
    const std::string& socket() const { return setting_.socket; }
    const std::string& level() const { return setting_.level; }
    const std::string& mqueue() const { return setting_.mqueue; }
    const std::string& scratch() const { return setting_.scratch; }

    const Space& managed() const { return setting_.managed; }
    const Space& single() const { return setting_.single; }
    const Space& self() const { return setting_.self; }
    uint32_t start() const { return setting_.managed.start; }

    /// Prepares things as root of the host. All of them answer false if it did not work; then the case is broken.
    bool file(const std::string& name, uint32_t uid, uint32_t gid, unsigned mode = 0644);
    bool directory(const std::string& name, uint32_t uid, uint32_t gid, unsigned mode = 0777);
    /// To be called after something with transient ids was prepared by other means: what is there now was there before
    /// anything was tried.
    void note_prepared() { prepared_ = transient_files(directory_); }
    /// What has come since.
    std::vector<std::string> remains() const { return added(prepared_, transient_files(directory_)); }

    /// In the managed namespace; as its root, if nothing else is said.
    int inside(const Body& body) const { return channels::inside(managed(), {}, body); }
    int inside(const As& as, const Body& body) const { return channels::inside(managed(), as, body); }

private:
    Setting& setting_;
    const FileSystem& fs_;
    std::string directory_;
    Remains prepared_;
};

}  // namespace nsr::channels
