// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// nsresourcectl, the tool for people.
namespace nsr::ctl {

inline constexpr int kDone = 0;
/// The service refused, or something failed on the way.
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

enum class JsonMode { kOff, kShort, kPretty };
enum class Paging { kOnTerminal, kNever };

/// What holds for every verb.
struct Setting {
    std::string socket;
    JsonMode json = JsonMode::kOff;
    Paging paging = Paging::kOnTerminal;

    /// Where the socket is.
    std::string runtime_directory() const;
    /// The directory of the service's own files, beside its socket: status and registry are there.
    std::string resource_directory() const;
};

/// kSelf: no range, but the caller's own ids, mapped to root or to themselves.
enum class RangeType { kManaged, kSelf };
enum class Foreign { kNotMapped, kMapped };

/// Which links the namespace gets.
struct Network {
    enum class Veth { kNone, kOne } veth = Veth::kNone;
    enum class Tap { kNone, kOne } tap = Tap::kNone;
};

/// A cgroup that the namespace gets: the one at `path`, which is there already, or else a new one below the caller's.
struct ControlGroup {
    std::optional<std::string> path;
};

struct RunVerb {
    /// 1 or 65536; 1 where the type is kSelf.
    uint32_t size = 65536;
    std::optional<std::string> name;
    RangeType type = RangeType::kManaged;
    /// Where the ids begin inside, 0…4294967294.
    uint32_t target = 0;
    /// How many further ranges of 65536, 0…16.
    uint32_t delegates = 0;
    Foreign foreign = Foreign::kNotMapped;
    Network network;
    std::optional<ControlGroup> control_group;
    /// Program and arguments; not empty.
    std::vector<std::string> command;
};
struct RegisterVerb {
    std::optional<std::string> name;
    /// A process id, or the path of a namespace file.
    std::string what;
};
struct ListVerb {};
struct ShowVerb {
    std::string what;
};
struct StatusVerb {};
struct ReclaimVerb {
    enum class Change { kFree, kNone } change = Change::kFree;
    enum class Progress { kOnTerminal, kAlways } progress = Progress::kOnTerminal;
    /// Only the file systems of these paths are looked at; all, where there are none.
    std::vector<std::string> paths;
    /// The others are clean, on the administrator's word.
    enum class Others { kUnknown, kTrusted } others = Others::kUnknown;
    std::string state_dir;
    /// Where the socket is, if it is empty.
    std::string runtime_dir;
};
using Verb = std::variant<RunVerb, RegisterVerb, ListVerb, ShowVerb, StatusVerb, ReclaimVerb>;

struct Options {
    Setting setting;
    Verb verb;
};
/// The command line asked for no more than a text, which is printed already, or was wrong, which was said.
struct Finished {
    int exit_status;
};

/// Reads the command line. What follows the first "--" is the command of `run` and is not looked at.
std::variant<Options, Finished> parse_options(int argc, const char* const* argv);

}  // namespace nsr::ctl
