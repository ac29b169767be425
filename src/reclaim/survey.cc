// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reclaim/survey.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/sys.h"
#include "reclaim/apart.h"
#include "reclaim/census.h"
#include "reclaim/file_system.h"
#include "reclaim/ipc.h"
#include "reclaim/mount_table.h"
#include "reclaim/reach.h"

namespace nsr::reclaim {

namespace {

// Inode numbers of the first namespaces, fixed in the kernel (include/linux/proc_ns.h).
constexpr uint64_t kFirstUserNamespace = 0xEFFFFFFD;
constexpr uint64_t kFirstProcessNamespace = 0xEFFFFFFC;

Status require_host() {
    if (::geteuid() != 0) return fail(EPERM, "only root can look at everything");
    struct stat user = TRY(sys::stat_target("/proc/self/ns/user"));
    struct stat pid = TRY(sys::stat_target("/proc/self/ns/pid"));
    if (user.st_ino != kFirstUserNamespace || pid.st_ino != kFirstProcessNamespace)
        return fail(EPERM, "inside a container not everything can be seen: do this on the host");
    return {};
}

/// A superblock, and where it was found.
struct FileSystem {
    Mount mount;
    uint64_t mount_namespace = 0;
};

class Surveyor {
public:
    Surveyor(const SurveyRequest& request, UniqueFd proc) : request_(request), proc_(std::move(proc)) {}

    Status prepare();
    Survey look();

private:
    Status enter_copy();
    Status list_mounts(uint64_t number, const Namespace& mounts);
    Status choose();
    void look_at_file_system(const FileSystem& file_system);
    void look_at_processes();
    void run(const std::string& what, const std::function<void(Findings&, Reporter&)>& work);

    const SurveyRequest& request_;
    UniqueFd proc_;
    uint64_t own_ = 0;  ///< a copy of the mount namespace that we came from
    Census census_;
    std::vector<FileSystem> file_systems_;
    std::set<uint64_t> mount_ids_;
    std::set<std::string> devices_;
    std::optional<std::set<std::string>> chosen_;  ///< devices
    Survey survey_;
};

Status Surveyor::prepare() {
    TRY(choose());
    TRY(enter_copy());
    census_ = TRY(take_census(proc_.borrow(), survey_.findings));
    if (!census_.mounts.contains(own_)) return fail(ENOENT, "this process is not seen in /proc");
    // Our own first: what is mounted here is reached without entering a stranger's namespace.
    TRY(list_mounts(own_, census_.mounts.at(own_)));
    std::set<uint64_t> listed{own_};
    while (listed.size() < census_.mounts.size())  // one table may lead to further namespaces
        for (const auto& [number, mounts] : census_.mounts)
            if (listed.insert(number).second)
                if (auto done = list_mounts(number, mounts); !done)
                    survey_.findings.add_problem(fmt::format("mounts of {}: {}", mounts.who, done.error().what()));
    auto entered = ::setns(census_.mounts.at(own_).fd.get(), CLONE_NEWNS);
    if (entered < 0) return fail_errno(errno, "return to the own mounts");
    return {};
}

// What is mounted now stays so in the copy, whatever others unmount while we look.
Status Surveyor::enter_copy() {
    UniqueFd mounts = TRY(sys::open_at(proc_.borrow(), "self/ns/mnt", O_RDONLY));
    TRY(enter_private_mounts(mounts.borrow()));
    mounts = TRY(sys::open_at(proc_.borrow(), "self/ns/mnt", O_RDONLY));
    struct stat st = TRY(sys::stat_fd(mounts.borrow()));
    own_ = st.st_ino;
    return {};
}

// Devices by the mount table, since stat(2) tells other ones for subvolumes.
Status Surveyor::choose() {
    if (request_.paths.empty()) return {};
    chosen_.emplace();
    auto mounts = TRY(read_mount_table(proc_.borrow()));
    for (const std::string& path : request_.paths) {
        UniqueFd fd = TRY(sys::open_at(sys::kCwd, path, O_PATH));
        struct statx stx{};
        if (::statx(fd.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0) return fail_errno(errno, path);
        auto mount = std::ranges::find(mounts, stx.stx_mnt_id, &Mount::id);
        if (mount == mounts.end()) return fail(ENOENT, "{}: its mount is not known", path);
        chosen_->insert(mount->device);
    }
    return {};
}

Status Surveyor::list_mounts(uint64_t number, const Namespace& mounts) {
    // From its root: who was changed into a directory (chroot(2)) is not shown what lies outside.
    if (::setns(mounts.fd.get(), CLONE_NEWNS) < 0) return fail_errno(errno, "enter");
    auto table = TRY(read_mount_table(proc_.borrow()));
    for (Mount& mount : table) {
        mount_ids_.insert(mount.id);
        if (mount.type == "nsfs" && (mount.root.starts_with("mnt:") || mount.root.starts_with("ipc:"))) {
            auto fd = sys::open_at(sys::kCwd, mount.point, O_RDONLY | O_NONBLOCK);
            auto st = fd ? sys::stat_fd(fd->borrow()) : Result<struct stat>(Failure(fd.error()));
            auto& known = mount.root.starts_with("mnt:") ? census_.mounts : census_.ipcs;
            if (!st || !mount.root.ends_with(fmt::format("[{}]", st->st_ino)))
                survey_.findings.add_problem(fmt::format("namespace at {} cannot be opened", mount.point));
            else
                known.try_emplace(st->st_ino, Namespace{*std::move(fd), mount.point});
        }
        bool is_new = devices_.insert(mount.device).second;
        if (is_new) file_systems_.push_back({std::move(mount), number});
    }
    return {};
}

void Surveyor::run(const std::string& what, const std::function<void(Findings&, Reporter&)>& work) {
    uint64_t before = survey_.inodes;
    auto heard = [&](uint64_t inodes) {
        if (request_.progress) request_.progress(what, before + inodes);
    };
    heard(0);
    Apart apart = run_apart(what, request_.silence_usec, work, heard);
    survey_.inodes += apart.inodes;
    survey_.findings.add_all(apart.findings);
}

void Surveyor::look_at_file_system(const FileSystem& file_system) {
    const Mount& mount = file_system.mount;
    switch (treatment_of(mount)) {
        case Treatment::kNothingStays:
            return;
        case Treatment::kOneUser:
            for (const char* option : {"user_id", "group_id"}) {
                std::string value = mount.super_value(option);
                uint32_t id = 0;
                std::from_chars(value.data(), value.data() + value.size(), id);
                survey_.findings.add({&id, 1}, [&] { return "server of " + mount.point; });
            }
            return;
        case Treatment::kLook:
            break;
    }
    survey_.file_systems++;
    const Namespace& mounts = census_.mounts.at(file_system.mount_namespace);
    bool is_own = file_system.mount_namespace == own_;
    std::string label = is_own ? mount.point : fmt::format("{} of {}", mount.point, mounts.who);
    run(label, [&](Findings& findings, Reporter& reporter) {
        FileSystemLook look{proc_.borrow(), mounts.fd.borrow(), mount.device, label,
                            is_own ? Devices::kMayBeMounted : Devices::kLeftAlone};
        look_at_whole(look, findings, [&] { reporter.tick(); });
    });
}

void Surveyor::look_at_processes() {
    // Files without a name, such as those of memfd_create(2), are on a mount that no table has.
    UniqueFd memory(::memfd_create("known", MFD_CLOEXEC));
    struct stat st{};
    if (memory && ::fstat(memory.get(), &st) == 0)
        devices_.insert(fmt::format("{}:{}", major(st.st_dev), minor(st.st_dev)));
    run("open files", [&](Findings& findings, Reporter& reporter) {
        IsKnown is_known = [&](uint64_t mount_id, const std::string& device) {
            return mount_ids_.contains(mount_id) || devices_.contains(device);
        };
        look_at_descriptors(proc_.borrow(), findings, is_known, [&] { reporter.tick(); });
    });
}

Survey Surveyor::look() {
    for (const FileSystem& file_system : file_systems_)
        if (!chosen_ || chosen_->contains(file_system.mount.device)) look_at_file_system(file_system);
    for (const auto& [number, ipc] : census_.ipcs)
        run("IPC of " + ipc.who, [&](Findings& findings, Reporter& reporter) {
            look_at_ipc(proc_.borrow(), ipc.fd.borrow(), findings, [&] { reporter.tick(); });
        });
    look_at_keys(proc_.borrow(), survey_.findings);
    look_at_processes();
    // Those who came meanwhile.
    if (auto census = take_census(proc_.borrow(), survey_.findings); !census)
        survey_.findings.add_problem(census.error().what());
    return std::move(survey_);
}

}  // namespace

Result<Survey> survey(const SurveyRequest& request) {
    TRY(require_host());
    UniqueFd proc = TRY(sys::open_at(sys::kCwd, "/proc", O_RDONLY | O_DIRECTORY));
    Surveyor surveyor(request, std::move(proc));
    TRY(surveyor.prepare());
    return surveyor.look();
}

}  // namespace nsr::reclaim
