// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/proof.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/forked_child.h"
#include "base/sys.h"

namespace nsr::policy {

namespace {

/// Single ids that the trial may have; an unused one is looked for from the end, where few names lead.
constexpr uint32_t kFirstId = 61184, kLastId = 65519;
constexpr uint64_t kTimeoutUsec = 20'000'000;
constexpr char kTrialPrefix[] = "trial.";

// What is tried inside; each gives 0 or an errno value.

int outcome(int result) { return result < 0 ? errno : 0; }

int create_file(int dir) {
    UniqueFd fd(openat(dir, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    return outcome(fd.get());
}
int make_directory(int dir) { return outcome(mkdirat(dir, "directory", 0700)); }
int make_tmpfile(int dir) {
    UniqueFd fd(openat(dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
    return outcome(fd.get());
}
int bind_socket(int dir) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "socket"};
    if (!fd || fchdir(dir) < 0) return errno;
    return outcome(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
}
int take_existing(int dir) { return outcome(fchownat(dir, "existing", 0, 0, AT_SYMLINK_NOFOLLOW)); }
int make_memory(int) {
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    int code = outcome(id);
    if (id >= 0) shmctl(id, IPC_RMID, nullptr);
    return code;
}
int write_existing(int dir) {
    UniqueFd fd(openat(dir, "existing", O_WRONLY | O_CLOEXEC));
    return outcome(fd.get());
}
// Mounted nowhere.
int use_own_filesystem(int) {
    UniqueFd tmpfs(fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!tmpfs || fsconfig(tmpfs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0) return errno;
    UniqueFd own(fsmount(tmpfs.get(), FSMOUNT_CLOEXEC, 0));
    if (!own) return errno;
    int code = create_file(own.get());
    return code != 0 ? code : make_directory(own.get());
}

struct Trial {
    const char* what;
    int (*attempt)(int dir);
    int expected;  ///< errno value
};
constexpr std::array<Trial, 8> kTrials{{
    {"a file on the host's file system", create_file, EPERM},
    {"a directory on the host's file system", make_directory, EPERM},
    {"an unnamed file on the host's file system", make_tmpfile, EPERM},
    {"a socket on the host's file system", bind_socket, EPERM},
    {"another owner of an existing file", take_existing, EPERM},
    {"shared memory of the host", make_memory, EPERM},
    {"writing to an existing file", write_existing, 0},
    {"files on a file system of its own", use_own_filesystem, 0},
}};

/// What the process inside says: the number of a trial that did not go as expected, and what came of it.
struct Finding {
    int trial = -1;
    int code = 0;
};

// The first word of the process inside: only it may look at its namespace, without CAP_SYS_PTRACE.
Result<ino_t> arrive() {
    struct stat userns{};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || stat("/proc/self/ns/user", &userns) < 0)
        return fail_errno(errno, "namespace for the trial");
    return userns.st_ino;
}

template <class Word>
Status say(BorrowedFd socket, const Word& word) {
    return sys::write_all(socket, {reinterpret_cast<const char*>(&word), sizeof word});
}

Result<Finding> try_everything(int dir) {
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) return fail_errno(errno, "ids of the trial");
    for (size_t i = 0; i < kTrials.size(); ++i) {
        int code = kTrials[i].attempt(dir);
        if (code != kTrials[i].expected) return Finding{static_cast<int>(i), code};
    }
    return Finding{};
}

Result<int> run_inside(int dir, BorrowedFd socket) {
    const ino_t inode = TRY(arrive());
    TRY(say(socket, inode));
    // The id must be there before anything is tried, or it is the overflow id that is refused.
    char go = 0;
    if (read(socket.get(), &go, 1) != 1) return fail(ECANCELED, "nobody waits for the trial");
    const Finding finding = TRY(try_everything(dir));
    TRY(say(socket, finding));
    return EXIT_SUCCESS;
}

Status judge(const Finding& finding) {
    if (finding.trial < 0) return {};
    const Trial& trial = kTrials[static_cast<size_t>(finding.trial)];
    std::string got = finding.code == 0 ? "allowed" : errno_name(finding.code);
    return fail(EPROTO, "the kernel policy is attached, but does not work: {}: {} instead of {}", trial.what, got,
                trial.expected == 0 ? "allowed" : errno_name(trial.expected));
}

/// A directory for the trial, like those on a host that everybody may write to.
class Arena {
public:
    static Result<Arena> create(const std::string& host_dir) {
        remove_old_trials(host_dir);
        std::string path = fmt::format("{}/{}{}", host_dir, kTrialPrefix, getpid());
        TRY(sys::mkdir_at(sys::kCwd, path, 0700));
        Arena arena(path);
        arena.fd_ = TRY(sys::open_at(sys::kCwd, path, O_RDONLY | O_DIRECTORY));
        UniqueFd existing = TRY(sys::open_at(arena.fd_.borrow(), "existing", O_WRONLY | O_CREAT, 0666));
        TRY(sys::set_mode(existing.borrow(), 0666));
        return arena;
    }
    Arena(Arena&&) = default;
    Arena& operator=(Arena&&) = delete;
    ~Arena() {
        std::error_code ignored;
        if (fd_) std::filesystem::remove_all(path_, ignored);
    }
    // As its owner the trial's root may chown what is in it, but for the policy.
    Status give(uint32_t id) const {
        for (const char* name : {"existing", "."}) {
            int result = fchownat(fd_.get(), name, id, id, 0);
            int code = errno;
            if (result < 0) return fail_errno(code, "directory of the trial");
        }
        return {};
    }
    int fd() const { return fd_.get(); }

private:
    explicit Arena(std::string path) : path_(std::move(path)) {}
    std::string path_;
    UniqueFd fd_;
};

Result<uint32_t> unused_id(const Entries& entries, const std::function<bool(Uid)>& is_free) {
    for (uint32_t id = kLastId; id >= kFirstId; --id) {
        auto owner = TRY(entries.owner(Uid(id)));
        if (!owner && is_free(Uid(id))) return id;
    }
    return fail(EBUSY, "all single ids are in use");
}

Status write_map(pid_t pid, const char* file, uint32_t id) {
    UniqueFd fd = TRY(sys::open_at(sys::kCwd, fmt::format("/proc/{}/{}", pid, file), O_WRONLY));
    return sys::write_all(fd.borrow(), fmt::format("0 {} 1\n", id));
}

Status receive(const ForkedChild& child, BorrowedFd socket, void* data, size_t size) {
    struct pollfd poll{socket.get(), POLLIN, 0};
    if (TRY(sys::poll({&poll, 1}, kTimeoutUsec)) == 0) return fail(ETIMEDOUT, "the trial takes too long");
    if (read(socket.get(), data, size) == static_cast<ssize_t>(size)) return {};
    TRY(child.failure());
    return fail(ECANCELED, "the trial died");
}

// From outside, in the order in which the service does it.
Status drive(Entries& entries, const NsIdentity& identity, const ForkedChild& child, BorrowedFd socket, uint32_t id) {
    TRY(entries.add(identity, Entries::Setgroups::kAllowed));
    TRY(entries.set_owner(Uid(id), identity.inode));
    TRY(write_map(child.pid(), "gid_map", id));
    TRY(write_map(child.pid(), "uid_map", id));
    TRY(sys::write_all(socket, "x"));
    Finding finding;
    TRY(receive(child, socket, &finding, sizeof finding));
    return judge(finding);
}

/// The namespace that tries, and what was known under its inode number before.
struct Subject {
    NsIdentity identity;
    Entries::Mark earlier = Entries::Mark::kAbsent;
};

Result<Subject> wait_for_namespace(const Entries& entries, const ForkedChild& child, BorrowedFd socket) {
    ino_t inode = 0;
    TRY(receive(child, socket, &inode, sizeof inode));
    NsIdentity identity{NsInode(inode), NsId()};
    auto earlier = TRY(entries.mark(identity));
    return Subject{identity, earlier};
}

// Its inode number may have been that of a registered namespace which died while the service was down. The registry is
// going to ask for that one's mark: without it, it would be taken to live. If this process is killed before, so is the
// trial, and its own death leaves the mark.
Status withdraw(Entries& entries, const Subject& subject) {
    if (subject.earlier != Entries::Mark::kAbsent) return entries.mark_dead(subject.identity.inode);
    return entries.remove(subject.identity);
}

}  // namespace

void remove_old_trials(const std::string& host_dir) {
    auto names = sys::list_directory(sys::kCwd, host_dir);
    if (!names) return;
    for (const auto& name : *names) {
        std::error_code ignored;
        if (name.starts_with(kTrialPrefix)) std::filesystem::remove_all(host_dir + "/" + name, ignored);
    }
}

Status prove_enforcement(Entries& entries, const std::string& host_dir, const std::function<bool(Uid)>& is_free) {
    uint32_t id = TRY(unused_id(entries, is_free));
    Arena arena = TRY(Arena::create(host_dir));
    TRY(arena.give(id));
    auto pair = TRY(sys::socket_pair(SOCK_STREAM));
    BorrowedFd socket = pair.first.borrow();
    auto inside = [&] { return run_inside(arena.fd(), pair.second.borrow()); };
    std::optional child = TRY(ForkedChild::start(std::vector{arena.fd(), pair.second.get()}, inside));
    pair.second.reset();
    auto subject = wait_for_namespace(entries, *child, socket);
    Status proven =
        subject ? drive(entries, subject->identity, *child, socket, id) : Status(Failure(std::move(subject).error()));
    child.reset();
    TRY(entries.clear_owner(Uid(id)));
    if (subject) TRY(withdraw(entries, *subject));
    return proven;
}

}  // namespace nsr::policy
