// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lifecycle/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/log.h"
#include "base/sys.h"

namespace nsr::lifecycle {

/// The file: 256 entries of 32 bytes, of which the first one is the header, then the text of each page.
struct Journal::Entry {
    std::atomic<Step> step;
    std::atomic<uint32_t> length;
    std::atomic<uint64_t> userns;
    std::atomic<Source> source;
    std::atomic<pid_t> keeper;
    uint32_t reserved[2];
};

struct Journal::Header {
    char magic[8];
    std::atomic<uint32_t> registry_device, lock_device;
    std::atomic<uint64_t> registry_inode, lock_inode;
};

namespace {

constexpr char kName[] = "journal";
constexpr char kMagic[8] = {'n', 's', 'r', '-', 'j', 'r', 'n', '1'};
constexpr size_t kTableSize = 8192;
constexpr size_t kSize = kTableSize + Journal::kPages * Journal::kPageSize;

constexpr size_t body_offset(size_t page) { return kTableSize + (page - 1) * Journal::kPageSize; }

Status allocate(BorrowedFd fd, size_t offset, size_t size) {
    int code = posix_fallocate(fd.get(), static_cast<off_t>(offset), static_cast<off_t>(size));
    if (code != 0) return fail_errno(code, kName);
    return {};
}

// A file of another version is put aside, not written over: what it says is repaired by that version.
Status put_aside(BorrowedFd dir) {
    log::warning("The journal is not of this version, and is put aside as journal.old");
    return sys::rename_at(dir, kName, dir, "journal.old");
}

Result<UniqueFd> open_file(BorrowedFd dir) {
    UniqueFd fd = TRY(sys::open_at(dir, kName, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600));
    auto st = TRY(sys::stat_fd(fd.borrow()));
    bool ours = S_ISREG(st.st_mode) && (st.st_size == 0 || static_cast<size_t>(st.st_size) == kSize);
    if (!ours) return fail(EBADMSG, "{}: not a file of this service", kName);
    TRY(allocate(fd.borrow(), 0, kTableSize));
    if (ftruncate(fd.get(), kSize) < 0) return fail_errno(errno, kName);
    return fd;
}

flock lock_of(size_t page, short type) {
    return {.l_type = type, .l_whence = SEEK_SET, .l_start = static_cast<off_t>(page), .l_len = 1, .l_pid = 0};
}

}  // namespace

Result<Journal> Journal::open(BorrowedFd dir) {
    static_assert(sizeof(Entry) == 32 && sizeof(Header) <= 32 && (kPages + 1) * sizeof(Entry) == kTableSize);
    auto fd = open_file(dir);
    if (!fd && fd.error().code() == EBADMSG) {
        TRY(put_aside(dir));
        fd = open_file(dir);
    }
    if (!fd) return Failure(std::move(fd).error());
    void* bytes = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
    if (bytes == MAP_FAILED) return fail_errno(errno, kName);
    Journal journal(*std::move(fd), std::span(static_cast<std::byte*>(bytes), kSize));
    char* magic = journal.header().magic;
    if (magic[0] == 0) std::memcpy(magic, kMagic, sizeof kMagic);
    if (std::memcmp(magic, kMagic, sizeof kMagic) == 0) return journal;
    TRY(put_aside(dir));
    return open(dir);
}

Journal::Journal(Journal&& other) noexcept
    : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, {})), own_(std::exchange(other.own_, 0)) {}

Journal::~Journal() {
    if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

Journal::Header& Journal::header() const { return *reinterpret_cast<Header*>(bytes_.data()); }

Journal::Entry& Journal::entry(size_t page) const { return reinterpret_cast<Entry*>(bytes_.data())[page]; }

std::span<char> Journal::body(size_t page) const {
    return {reinterpret_cast<char*>(bytes_.data()) + body_offset(page), kPageSize};
}

registry::Home Journal::home() const {
    const Header& at = header();
    return {at.registry_device, at.lock_device, at.registry_inode, at.lock_inode};
}

void Journal::set_home(const registry::Home& home) {
    Header& at = header();
    at.registry_device = home.registry_device;
    at.lock_device = home.lock_device;
    at.registry_inode = home.registry_inode;
    at.lock_inode = home.lock_inode;
}

// A process never conflicts with a lock of its own: the page that it keeps is left out by the callers.
Journal::Lock Journal::try_lock(size_t page) const {
    flock lock = lock_of(page, F_WRLCK);
    return fcntl(fd_.get(), F_SETLK, &lock) == 0 ? Lock::kOurs : Lock::kOfAnother;
}

void Journal::unlock(size_t page) const {
    flock lock = lock_of(page, F_UNLCK);
    fcntl(fd_.get(), F_SETLK, &lock);
}

// A page in use stays its dead keeper's until it is repaired.
Status Journal::claim() {
    if (own_ != 0) return {};
    for (size_t page = 1; page <= kPages; ++page) {
        if (entry(page).step != Step::kNone || try_lock(page) == Lock::kOfAnother) continue;
        Status allocated = entry(page).step == Step::kNone ? allocate(fd_.borrow(), body_offset(page), kPageSize)
                                                           : fail(EAGAIN, "taken meanwhile");
        if (allocated) {
            own_ = page;
            entry(page).keeper = getpid();
            return {};
        }
        unlock(page);
        if (allocated.error().code() != EAGAIN) return allocated;
    }
    return fail(EAGAIN, "no page of the journal is free");
}

Status Journal::begin(Step step, const registry::Registration& registration, Source source) {
    TRY(claim());
    if (is_in_use()) return fail(EBUSY, "an earlier call of this process is not repaired");
    std::string text = registry::format_registration(registration);
    if (text.size() > kPageSize) return fail(E2BIG, "the record of {} is longer than a page", registration.name);
    std::memcpy(body(own_).data(), text.data(), text.size());
    Entry& at = entry(own_);
    at.length = static_cast<uint32_t>(text.size());
    at.userns = registration.userns.inode.value;
    at.source = source;
    at.step = step;  // the last: from here on the page counts
    return {};
}

void Journal::proceed(Step step) { entry(own_).step = step; }

void Journal::forget_source() { entry(own_).source = Source::kElsewhere; }

void Journal::end() {
    if (own_ != 0) entry(own_).step = Step::kNone;
}

bool Journal::is_in_use() const { return own_ != 0 && entry(own_).step != Step::kNone; }

std::vector<Journal::Item> Journal::others() const {
    std::vector<Item> items;
    for (size_t page = 1; page <= kPages; ++page) {
        const Entry& at = entry(page);
        Step step = at.step;
        if (page != own_ && step != Step::kNone) items.push_back({page, step, at.source, NsInode(at.userns)});
    }
    return items;
}

// A process that repairs the page holds the lock meanwhile.
Journal::Keeper Journal::keeper(size_t page) const {
    flock lock = lock_of(page, F_WRLCK);
    bool is_held = fcntl(fd_.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    return is_held && lock.l_pid == entry(page).keeper ? Keeper::kAlive : Keeper::kDead;
}

// The length is another process's word.
Result<registry::Registration> Journal::read(size_t page) const {
    size_t length = std::min<size_t>(entry(page).length, kPageSize);
    std::string text(body(page).data(), length);
    return TRY_WITHIN(fmt::format("page {} of the journal", page), registry::parse_registration(text));
}

std::optional<Journal::Adoption> Journal::adopt(size_t page) {
    if (page == own_ || try_lock(page) == Lock::kOfAnother) return std::nullopt;
    if (entry(page).step != Step::kNone) return std::optional<Adoption>(std::in_place, *this, page);
    unlock(page);
    return std::nullopt;
}

Journal::Adoption::~Adoption() {
    if (journal_) journal_->unlock(page_);
}

void Journal::Adoption::forget_source() { journal_->entry(page_).source = Source::kElsewhere; }

void Journal::Adoption::end() { journal_->entry(page_).step = Step::kNone; }

}  // namespace nsr::lifecycle
