// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "../unit/authority_client.h"
#include "../unit/authority_private_bus.h"
#include "authority/authority.h"

/// The real polkitd, started on demand by a real dbus-daemon, with our action file and rules of the test's. polkitd
/// reads them in fixed places; those are covered in a mount namespace of this program's own, so that the host's are
/// neither read nor touched.
namespace nsr::authority {
namespace {

constexpr const char* kPolkitd = "/usr/lib/polkit-1/polkitd";
constexpr const char* kActions = "/usr/share/polkit-1/actions";
constexpr const char* kRules = "/etc/polkit-1/rules.d";
constexpr const char* kVendorRules = "/usr/share/polkit-1/rules.d";
constexpr const char* kActionFile = "/io.systemd.namespace-resource.policy";
constexpr std::array kAllActions{kAllocateUserNamespace, kRegisterUserNamespace, kDelegateMount, kDelegateControlGroup,
                                 kDelegateNetworkInterface};
// Users that every Debian has.
constexpr uid_t kDaemon = 1, kNobody = 65534;
// Includes the start of polkitd, on a busy machine.
constexpr uint64_t kTimeoutUsec = 60'000'000;

class Polkitd : public testing::Test {
protected:
    static void SetUpTestSuite() {
        if (geteuid() != 0) {
            missing_ = "root";
        } else if (access(kPolkitd, X_OK) < 0 || access(kRules, F_OK) < 0) {
            missing_ = "polkitd";
        } else if (!PrivateBus::is_possible()) {
            missing_ = "dbus-daemon";
        } else if (unshare(CLONE_NEWNS) < 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
                   prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || !cover(kActions) || !cover(kRules) || !cover(kVendorRules)) {
            missing_ = "leave to mount";
        }
    }
    static bool cover(const char* directory) { return mount("tmpfs", directory, "tmpfs", 0, "mode=0755") == 0; }

    void SetUp() override {
        if (missing_) GTEST_SKIP() << "no " << missing_;
        std::filesystem::copy_file(std::string(NSR_SOURCE_DIR "/polkit") + kActionFile,
                                   std::string(kActions) + kActionFile,
                                   std::filesystem::copy_options::overwrite_existing);
        bus_.emplace();
        std::ofstream(bus_->services() + "/org.freedesktop.PolicyKit1.service")
            << "[D-BUS Service]\nName=org.freedesktop.PolicyKit1\nExec=" << kPolkitd << " --no-debug\n";
        bus_->stop();
        bus_->start();
    }
    void TearDown() override {
        if (missing_) return;
        bus_.reset();
        while (waitpid(-1, nullptr, 0) > 0) {
        }  // polkitd ends with its bus
        std::filesystem::remove(rule_file());
    }

    static std::string rule_file() { return std::string(kRules) + "/10-nsresourced-test.rules"; }
    /// Before the first question; `body` is that of a function of `action` and `subject`.
    static void set_rule(const std::string& body) {
        std::ofstream(rule_file()) << "polkit.addRule(function(action, subject) {" << body << "});\n";
    }

    Result<Verdict> check(uid_t uid, Action action, const Detail& detail = {"name", "x"}) {
        Client client(uid);
        ucred credentials = sys::peer_credentials(client.socket_fd()).value();
        Caller caller{client.socket_fd(), credentials.pid, Uid(credentials.uid)};
        return authority_.check(caller, action, {&detail, 1}, sys::now_usec() + kTimeoutUsec);
    }
    void expect(Verdict wanted, uid_t uid, Action action, const Detail& detail = {"name", "x"}) {
        auto verdict = check(uid, action, detail);
        ASSERT_TRUE(verdict) << verdict.error().what();
        EXPECT_EQ(*verdict, wanted) << "uid " << uid << ", " << action.id << ", " << detail.value;
    }

    static inline const char* missing_ = nullptr;
    std::optional<PrivateBus> bus_;
    Authority authority_;
};

TEST_F(Polkitd, AllowsEverythingByDefault) {
    for (Action action : kAllActions) expect(Verdict::kAllowed, kNobody, action);
}

TEST_F(Polkitd, DeniesOneActionToOneUser) {
    set_rule(R"(if (action.id == "io.systemd.namespace-resource.delegate-cgroup" && subject.user == "nobody")
                    return polkit.Result.NO;)");
    expect(Verdict::kDenied, kNobody, kDelegateControlGroup);
    expect(Verdict::kAllowed, kDaemon, kDelegateControlGroup);
    expect(Verdict::kAllowed, kNobody, kDelegateNetworkInterface);
    expect(Verdict::kDenied, kNobody, kDelegateControlGroup);
}

TEST_F(Polkitd, ShowsDetailsToRules) {
    set_rule(R"(if (action.lookup("type") == "tap" || action.lookup("name") == "65534-evil")
                    return polkit.Result.NO;)");
    expect(Verdict::kDenied, kNobody, kDelegateNetworkInterface, {"type", "tap"});
    expect(Verdict::kAllowed, kNobody, kDelegateNetworkInterface, {"type", "veth"});
    expect(Verdict::kDenied, kNobody, kAllocateUserNamespace, {"name", "65534-evil"});
    expect(Verdict::kAllowed, kNobody, kAllocateUserNamespace, {"name", "65534-good"});
}

TEST_F(Polkitd, DeniesNothingWhereOnlyAllocationIsDenied) {
    set_rule(R"(if (action.id == "io.systemd.namespace-resource.allocate-user-namespace") return polkit.Result.NO;)");
    expect(Verdict::kAllowed, kNobody, kAllocateUserNamespace);
    expect(Verdict::kAllowed, kNobody, kRegisterUserNamespace);
}

TEST_F(Polkitd, DeniesNothingWhereOnlyRegistrationIsDenied) {
    set_rule(R"(if (action.id == "io.systemd.namespace-resource.register-user-namespace") return polkit.Result.NO;)");
    expect(Verdict::kAllowed, kNobody, kAllocateUserNamespace);
    expect(Verdict::kAllowed, kNobody, kRegisterUserNamespace);
}

TEST_F(Polkitd, DeniesWhereBothAreDenied) {
    set_rule(R"(if (/namespace-resource.*user-namespace$/.test(action.id)) return polkit.Result.NO;)");
    expect(Verdict::kDenied, kNobody, kAllocateUserNamespace);
    expect(Verdict::kDenied, kNobody, kRegisterUserNamespace);
    expect(Verdict::kAllowed, kNobody, kDelegateControlGroup);
}

TEST_F(Polkitd, DeniesWhereAPasswordWouldBeNeeded) {
    set_rule("return polkit.Result.AUTH_ADMIN;");
    expect(Verdict::kDenied, kNobody, kDelegateMount);
}

TEST_F(Polkitd, AllowsRootWhateverTheRules) {
    set_rule("return polkit.Result.NO;");
    expect(Verdict::kDenied, kNobody, kDelegateMount);
    expect(Verdict::kAllowed, 0, kDelegateMount);
}

TEST_F(Polkitd, IsAnErrorWhereTheActionFileIsMissing) {
    std::filesystem::remove(std::string(kActions) + kActionFile);
    auto verdict = check(kNobody, kAllocateUserNamespace);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code(), EIO) << verdict.error().what();
}

TEST_F(Polkitd, UnderstandsTheActionFile) {
    if (access("/usr/bin/pkaction", X_OK) < 0) GTEST_SKIP() << "no pkaction";
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen("/usr/bin/pkaction --verbose", "re"), pclose);
    std::string text;
    char piece[4096];
    for (size_t n = 0; (n = fread(piece, 1, sizeof piece, pipe.get())) > 0;) text.append(piece, n);
    for (Action action : kAllActions) EXPECT_NE(text.find(std::string(action.id) + ":\n"), std::string::npos) << text;
    // A column of names ("implicit any:      yes"), then a value.
    size_t open_to_all = 0, implied = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("  implicit ") && line.ends_with(" yes")) ++open_to_all;
        if (line.find(" org.freedesktop.policykit.imply -> io.systemd.") != std::string::npos) ++implied;
    }
    EXPECT_EQ(open_to_all, 3 * kAllActions.size()) << text;
    EXPECT_EQ(implied, 2u) << text;
}

}  // namespace
}  // namespace nsr::authority
