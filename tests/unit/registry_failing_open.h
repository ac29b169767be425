// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <map>
#include <string>

namespace nsr::registry {

/// Has openat(2) fail for some files, as a system does that is short of something, until it goes out of scope. The
/// openat() that asks for it is that of registry_crash_test.cc.
class FailingOpen {
public:
    FailingOpen() = default;
    FailingOpen(const FailingOpen&) = delete;
    FailingOpen& operator=(const FailingOpen&) = delete;
    ~FailingOpen() { end(); }

    /// `file` is the path as the call has it.
    static void begin(const std::string& file, int code, int times) { faults()[file] = {code, times}; }
    static void end() { faults().clear(); }
    /// The errno value that this call gets; 0: none.
    static int strikes(const char* path) {
        if (faults().empty()) return 0;
        auto fault = faults().find(path);
        return fault != faults().end() && fault->second.times-- > 0 ? fault->second.code : 0;
    }

private:
    struct Fault {
        int code, times;
    };
    static std::map<std::string, Fault>& faults() {
        static std::map<std::string, Fault> faults;
        return faults;
    }
};

}  // namespace nsr::registry
