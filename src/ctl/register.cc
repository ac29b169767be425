// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/printable.h"
#include "base/sys.h"
#include "ctl/default_name.h"
#include "ctl/json_text.h"
#include "ctl/output.h"
#include "ctl/service.h"
#include "ctl/verbs.h"

namespace nsr::ctl {

namespace {

constexpr size_t kMaxProcText = 4096;

/// What is to be registered, and what the name is made of if none is given.
struct Subject {
    std::string path;
    std::string word;
    pid_t process;
};

std::optional<pid_t> to_process(std::string_view text) {
    pid_t process = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), process);
    if (error != std::errc{} || end != text.data() + text.size() || process <= 0) return std::nullopt;
    return process;
}

Subject find_subject(const std::string& what) {
    const auto process = to_process(what);
    if (!process) return {what, what, ::getpid()};
    auto command = sys::read_file_at(sys::kCwd, fmt::format("/proc/{}/comm", *process), kMaxProcText);
    std::string word = command ? *std::move(command) : std::string();
    word.erase(std::remove(word.begin(), word.end(), '\n'), word.end());
    return {fmt::format("/proc/{}/ns/user", *process), std::move(word), *process};
}

Failure explain_failure(const std::string& what, int code) {
    const bool is_process = to_process(what).has_value();
    if (code == ENOENT && is_process) return fail(code, "there is no process {}", what);
    if ((code == EACCES || code == EPERM) && is_process)
        return fail(code, "the process {} is not yours to look at", what);
    return fail(code, "cannot open {}: {}", what, strerror(code));
}

/// A descriptor with no other open flags than the service takes.
Result<UniqueFd> open_subject(const std::string& what, const Subject& subject) {
    // First without opening the thing itself: that could be a FIFO that waits for ever, or a device that acts.
    auto place = sys::open_at(sys::kCwd, subject.path, O_PATH);
    if (!place) return explain_failure(what, place.error().code());
    struct statfs fs{};
    if (::fstatfs(place->get(), &fs) < 0) return explain_failure(what, errno);
    if (fs.f_type != NSFS_MAGIC) return fail(EINVAL, "{} is no namespace", what);
    auto opened = sys::open_at(sys::kCwd, fmt::format("/proc/self/fd/{}", place->get()), O_RDONLY);
    if (!opened) return explain_failure(what, opened.error().code());
    return opened;
}

}  // namespace

Result<int> register_namespace(const Setting& setting, const RegisterVerb& verb) {
    const Subject subject = find_subject(verb.what);
    UniqueFd user_namespace = TRY(open_subject(verb.what, subject));
    varlink::Client client = TRY(connect(setting));
    varlink::json::object parameters{{"userNamespaceFileDescriptor", 0}};
    if (verb.name) {
        parameters["name"] = *verb.name;
    } else {
        parameters["name"] = default_name(subject.word, Uid(::geteuid()), subject.process);
        parameters["mangleName"] = true;
    }
    auto answer = TRY_WITHIN("cannot register the namespace",
                             call(client, "RegisterUserNamespace", std::move(parameters), {&user_namespace, 1}));
    const std::string name = TRY(string_in(answer, "name"));
    TRY(print(setting, setting.json == JsonMode::kOff
                           ? printable(name) + '\n'
                           : json_text(varlink::json::object{{"name", name}}, setting.json)));
    return kDone;
}

}  // namespace nsr::ctl
