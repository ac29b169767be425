// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/loader.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <xxhash.h>
#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <memory>

#include "base/log.h"
#include "base/sys.h"
#include "policy/bpf_call.h"
#include "policy/child.h"
#include "policy/deaths.skel.h"
#include "policy/kernel_types.h"
#include "policy/layout.h"
#include "policy/pin_directory.h"
#include "policy/pinned_set.h"
#include "policy/policy.skel.h"
#include "policy/programs.h"

namespace nsr::policy {

namespace {

constexpr size_t kMaxModules = 4096;

template <class Skeleton, void (*destroy)(Skeleton*)>
struct Destroy {
    void operator()(Skeleton* skeleton) const { destroy(skeleton); }
};
using PolicySkeleton = std::unique_ptr<policy_bpf, Destroy<policy_bpf, policy_bpf::destroy>>;
struct Detach {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, Detach>;
using LinkSet = std::map<std::string, Link>;
using DeathsSkeleton = std::unique_ptr<deaths_bpf, Destroy<deaths_bpf, deaths_bpf::destroy>>;

int print_library_message(libbpf_print_level level, const char* format, va_list arguments) {
    char text[1024];
    // Of a program that is refused, the library prints the verifier's whole log.
    if (level > LIBBPF_WARN || vsnprintf(text, sizeof text, format, arguments) <= 0) return 0;
    text[strcspn(text, "\n")] = '\0';
    log::debug("{}", text);
    return 0;
}

// Programs of the same text are the same programs.
std::string version_of(const void* (*object)(size_t*)) {
    size_t size = 0;
    const void* bytes = object(&size);
    auto hash = XXH3_128bits(bytes, size);
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

// Where nobody can tell, the form that works everywhere.
Form available_form() {
    auto active = sys::open_at(sys::kCwd, "/sys/kernel/security/lsm", O_RDONLY);
    if (!active) return Form::kFunction;
    auto names = sys::read_all(active->borrow(), kMaxModules);
    if (!names) return Form::kFunction;
    return ("," + *names + ",").find(",bpf,") != std::string::npos ? Form::kHook : Form::kFunction;
}

class Loader {
public:
    Loader(const std::string& runtime_dir, KernelTypes types, PolicySkeleton policy, DeathsSkeleton deaths)
        : pins_(runtime_dir), types_(std::move(types)), policy_(std::move(policy)), deaths_(std::move(deaths)) {}

    Result<Loaded> run(Scope scope);

private:
    std::vector<bpf_map*> shared_maps() const;
    Result<MapSet> open_maps(const std::string& directory) const;
    Result<MapSet> create_maps() const;
    Status find_or_create_maps();
    Status pin_maps();
    Status share_maps(bpf_object* object) const;
    uint32_t target_of(const bpf_program* program) const;
    Status require_pinned(const std::string& directory, const bpf_program* program) const;
    Status require_all_pinned(const std::string& directory) const;
    bool fits_hook(const Program& known) const;
    Status choose_form(const Program& known, bpf_program* program) const;
    Status choose_programs();
    Result<LinkSet> attach_all(bpf_object* object) const;
    Status pin_links(const LinkSet& links, const std::string& directory) const;
    Result<std::string> attach_and_pin(bpf_object* object, const std::string& prefix) const;
    bool has_other_policy(const std::string& own_prefix) const;
    Result<std::string> provide_policy();
    Result<std::string> provide_deaths();
    Status load_deaths(std::string_view program);

    PinDirectory pins_;
    KernelTypes types_;
    PolicySkeleton policy_;
    DeathsSkeleton deaths_;
    MapSet maps_;
    Loaded loaded_;
    Form form_ = available_form();
};

// One definition of each, in the objects themselves.
std::vector<bpf_map*> Loader::shared_maps() const {
    return {policy_->maps.namespaces, policy_->maps.owners, policy_->maps.cgroups, deaths_->maps.beats,
            deaths_->maps.deaths,     deaths_->maps.lost,   deaths_->maps.missed};
}

Result<MapSet> Loader::open_maps(const std::string& directory) const {
    MapSet maps;
    for (const bpf_map* definition : shared_maps()) {
        std::string name = bpf_map__name(definition);
        UniqueFd map = TRY(open_pin(pins_.path_of(directory) + "/" + name));
        TRY_WITHIN(name, require_map_like(map.borrow(), definition));
        maps.emplace(std::move(name), std::move(map));
    }
    return maps;
}

Result<MapSet> Loader::create_maps() const {
    MapSet maps;
    for (const bpf_map* definition : shared_maps()) {
        const char* name = bpf_map__name(definition);
        LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = bpf_map__map_flags(definition));
        UniqueFd map(bpf_map_create(bpf_map__type(definition), name, bpf_map__key_size(definition),
                                    bpf_map__value_size(definition), bpf_map__max_entries(definition), &options));
        int code = errno;
        if (!map) return fail_errno(code, fmt::format("make BPF map {}", name));
        maps.emplace(name, std::move(map));
    }
    return maps;
}

Status Loader::find_or_create_maps() {
    for (const auto& directory : pins_.list("maps-" NSR_LAYOUT "-")) {
        auto maps = open_maps(directory);
        if (!maps) {
            log::warning("Kernel maps in {} are not used: {}", pins_.path_of(directory), maps.error().what());
            continue;
        }
        maps_ = *std::move(maps);
        loaded_.maps = directory;
        return {};
    }
    maps_ = TRY(create_maps());
    loaded_.maps_are_new = true;
    return {};
}

// Only once the kernel has taken the programs.
Status Loader::pin_maps() {
    if (!loaded_.maps.empty()) return {};
    std::string directory = TRY(pins_.make_new("maps-" NSR_LAYOUT "-"));
    for (const auto& [name, map] : maps_) TRY(pin(map.borrow(), pins_.path_of(directory) + "/" + name));
    loaded_.maps = directory;
    return {};
}

Status Loader::share_maps(bpf_object* object) const {
    for (const auto& [name, fd] : maps_) {
        bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
        if (!map) continue;
        if (int result = bpf_map__reuse_fd(map, fd.get()); result < 0) return fail_errno(-result, "share map " + name);
    }
    return {};
}

uint32_t Loader::target_of(const bpf_program* program) const {
    if (bpf_program__type(program) == BPF_PROG_TYPE_KPROBE) return 0;
    std::string section = bpf_program__section_name(program);
    auto known = std::ranges::find(policy_programs(), bpf_program__name(program), &Program::name);
    if (bpf_program__type(program) == BPF_PROG_TYPE_LSM) return types_.hook(known->hook);
    return types_.function(section.substr(section.find('/') + 1));
}

Status Loader::require_pinned(const std::string& directory, const bpf_program* program) const {
    UniqueFd link = TRY(open_pin(pins_.path_of(directory) + "/" + bpf_program__name(program)));
    return require_link_like(link.borrow(), program, target_of(program), maps_);
}

Status Loader::require_all_pinned(const std::string& directory) const {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, policy_->obj) {
        if (!bpf_program__autoload(program)) continue;
        TRY_WITHIN(bpf_program__name(program), require_pinned(directory, program));
    }
    return {};
}

// Up to Linux 6.1 this hook is not told of the mount's mapping, while the function around it is.
bool Loader::fits_hook(const Program& known) const {
    if (form_ != Form::kHook || known.hook.empty() || types_.hook(known.hook) == 0) return false;
    return known.hook != "inode_setattr" || types_.parameter_count("bpf_lsm_inode_setattr") == 3;
}

Status Loader::choose_form(const Program& known, bpf_program* program) const {
    if (!fits_hook(known)) return {};
    bpf_program__set_type(program, BPF_PROG_TYPE_LSM);
    bpf_program__set_expected_attach_type(program, BPF_LSM_MAC);
    int result = bpf_program__set_attach_target(program, 0, std::string(known.hook).c_str());
    if (result < 0) return fail_errno(-result, fmt::format("hook {}", known.hook));
    return {};
}

// libbpf gives up the whole object where one target is missing.
Status Loader::choose_programs() {
    for (const auto& known : policy_programs()) {
        bpf_program* program = bpf_object__find_program_by_name(policy_->obj, std::string(known.name).c_str());
        if (!program) return fail(ENOENT, "no program {} in the object", known.name);
        if (types_.function(std::string(known.target)) != 0) {
            TRY(choose_form(known, program));
            continue;
        }
        if (known.need == Program::Need::kAlways) return fail(ENOTSUP, "the kernel has no function {}", known.target);
        bpf_program__set_autoload(program, false);
    }
    policy_->rodata->vfs_create_has_no_dir = types_.parameter_count("vfs_create") == 4;
    return {};
}

// The programs that are to be loaded, by their names.
Result<LinkSet> Loader::attach_all(bpf_object* object) const {
    LinkSet links;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        if (!bpf_program__autoload(program)) continue;
        const char* name = bpf_program__name(program);
        Link link(bpf_program__attach(program));
        int code = errno;
        if (!link) return fail_errno(code, fmt::format("attach kernel program {}", name));
        links.emplace(name, std::move(link));
    }
    return links;
}

Status Loader::pin_links(const LinkSet& links, const std::string& directory) const {
    for (const auto& [name, link] : links)
        TRY(pin(BorrowedFd(bpf_link__fd(link.get())), pins_.path_of(directory) + "/" + name));
    return {};
}

// Only what is attached is worth a directory. The pins hold the links from then on.
Result<std::string> Loader::attach_and_pin(bpf_object* object, const std::string& prefix) const {
    auto links = TRY(attach_all(object));
    std::string directory = TRY(pins_.make_new(prefix));
    if (Status pinned = pin_links(links, directory); !pinned) {
        TRY(pins_.remove(directory));
        return Failure(std::move(pinned).error());
    }
    return directory;
}

// Another version's: how many programs that has nobody here can know.
bool Loader::has_other_policy(const std::string& own_prefix) const {
    return std::ranges::any_of(pins_.list("policy-"), [&](const std::string& name) {
        if (name.starts_with(own_prefix)) return false;
        auto pins = sys::list_directory(sys::kCwd, pins_.path_of(name));
        return pins && !pins->empty();
    });
}

Result<std::string> Loader::provide_policy() {
    TRY(choose_programs());
    std::string prefix =
        fmt::format("policy-{}-{}-", version_of(policy_bpf::elf_bytes), form_ == Form::kHook ? "hook" : "function");
    bool was_marked = !loaded_.maps_are_new && !pins_.list(kEnforcedMark).empty();
    loaded_.was_enforced = was_marked && has_other_policy(prefix);
    for (const auto& directory : pins_.list(prefix)) {
        Status good = require_all_pinned(directory);
        loaded_.was_enforced = loaded_.was_enforced || (was_marked && good);
        if (good) return directory;
        log::warning("Kernel programs in {} are replaced: {}", pins_.path_of(directory), good.error().what());
    }
    TRY(share_maps(policy_->obj));
    int result = policy_bpf::load(policy_.get());
    if (result < 0) return fail_errno(-result, "the kernel does not take the programs of the policy");
    loaded_.policy_is_new = true;
    return attach_and_pin(policy_->obj, prefix);
}

// One of the alternatives, and not the other.
Status Loader::load_deaths(std::string_view wanted) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, deaths_->obj)
        bpf_program__set_autoload(program, bpf_program__name(program) == wanted);
    TRY(share_maps(deaths_->obj));
    int result = deaths_bpf::load(deaths_.get());
    if (result < 0) return fail_errno(-result, "the kernel does not take the program that hears of dead namespaces");
    return {};
}

Result<std::string> Loader::provide_deaths() {
    std::string prefix = fmt::format("deaths-{}-", version_of(deaths_bpf::elf_bytes));
    for (const auto& directory : pins_.list(prefix)) {
        if (require_pinned(directory, deaths_->progs.on_death)) return directory;
        if (require_pinned(directory, deaths_->progs.on_death_kprobe)) return directory;
        log::warning("The kernel program in {} is replaced", pins_.path_of(directory));
    }
    Status why;
    for (std::string_view name : kDeathPrograms) {
        deaths_.reset(deaths_bpf::open());  // an object can be loaded once
        Status loaded = load_deaths(name);
        auto directory = loaded ? attach_and_pin(deaths_->obj, prefix) : Failure(std::move(loaded).error());
        if (directory) return directory;
        if (why) why = Failure(std::move(directory).error());
    }
    return Failure(std::move(why).error());
}

Result<Loaded> Loader::run(Scope scope) {
    TRY(find_or_create_maps());
    loaded_.deaths = TRY(provide_deaths());
    TRY(pin_maps());
    if (scope == Scope::kAll) loaded_.policy = TRY(provide_policy());
    return loaded_;
}

Result<Loaded> load_here(const std::string& runtime_dir, Scope scope) {
    libbpf_set_print(print_library_message);
    auto types = TRY(KernelTypes::load());
    PolicySkeleton policy(policy_bpf::open());
    DeathsSkeleton deaths(deaths_bpf::open());
    if (!policy || !deaths) return fail(EINVAL, "the kernel programs of this build are broken");
    return Loader(runtime_dir, std::move(types), std::move(policy), std::move(deaths)).run(scope);
}

}  // namespace

Result<Loaded> load_programs(const std::string& runtime_dir, Scope scope) {
    auto load = [&]() -> Result<std::vector<std::string>> {
        auto loaded = TRY(load_here(runtime_dir, scope));
        auto word = [](bool is_so) { return std::string(is_so ? "yes" : ""); };
        return std::vector{loaded.maps,
                           loaded.deaths,
                           loaded.policy,
                           word(loaded.policy_is_new),
                           word(loaded.maps_are_new),
                           word(loaded.was_enforced)};
    };
    auto lines = TRY(in_child(load));
    if (lines.size() != 6) return fail(EBADMSG, "the process that loads the kernel programs was cut off");
    return Loaded{lines[0], lines[1], lines[2], !lines[3].empty(), !lines[4].empty(), !lines[5].empty()};
}

}  // namespace nsr::policy
