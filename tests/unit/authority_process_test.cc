// SPDX-License-Identifier: LGPL-2.1-or-later
#include "authority/process.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <thread>

#include "authority_client.h"

namespace nsr::authority {
namespace {

// From a stat line in which the name is known, and so the number of blanks in it.
uint64_t start_time_of(pid_t pid, size_t words_in_name) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string word;
    for (size_t i = 0; i < 21 + words_in_name; ++i) file >> word;
    return std::stoull(word);
}

// Runs something in a thread for which the kernel does not know SO_PEERPIDFD, as before 6.5.
template <class Body>
void on_older_kernel(Body body) {
    std::thread([&] {
        constexpr uint32_t kPeerPidFd = 77;
        sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kPeerPidFd, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        sock_fprog program{std::size(code), code};
        ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ASSERT_EQ(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
        body();
    }).join();
}

Result<Process> behind(const Client& client) {
    return Process::behind(client.socket_fd(), client.pid(), Uid(geteuid()));
}

TEST(Process, HasPidAndStartTime) {
    Client client;
    auto process = behind(client);
    ASSERT_TRUE(process) << process.error().what();
    EXPECT_EQ(process->pid(), client.pid());
    EXPECT_EQ(process->start_time(), start_time_of(client.pid(), 1));
    EXPECT_TRUE(process->require_alive());
}

TEST(Process, IsNotFooledByItsName) {
    Client client(0, ") S 7 7 (7");
    auto process = behind(client);
    ASSERT_TRUE(process) << process.error().what();
    EXPECT_EQ(process->start_time(), start_time_of(client.pid(), 5));
}

TEST(Process, IsGoneWhenItExited) {
    Client client;
    auto process = behind(client);
    ASSERT_TRUE(process);
    client.end();
    EXPECT_EQ(process->require_alive().error().code(), ESRCH);
    EXPECT_EQ(behind(client).error().code(), ESRCH) << "a zombie";
    client.reap();
    EXPECT_EQ(process->require_alive().error().code(), ESRCH);
    EXPECT_EQ(behind(client).error().code(), ESRCH) << "reaped";
}

TEST(Process, WithoutPidIsRefused) {
    Client client;
    EXPECT_EQ(Process::behind(client.socket_fd(), 0, Uid(0)).error().code(), ESRCH);
}

TEST(Process, OnOlderKernelIsFoundByPid) {
    Client client;
    on_older_kernel([&] {
        auto process = behind(client);
        ASSERT_TRUE(process) << process.error().what();
        EXPECT_EQ(process->start_time(), start_time_of(client.pid(), 1));
        client.end();
        EXPECT_EQ(process->require_alive().error().code(), ESRCH);
        EXPECT_EQ(behind(client).error().code(), ESRCH) << "a zombie";
        client.reap();
        EXPECT_EQ(behind(client).error().code(), ESRCH) << "reaped";
    });
}

TEST(Process, OnOlderKernelOfAnotherUserIsRefused) {
    Client client;
    on_older_kernel([&] {
        auto process = Process::behind(client.socket_fd(), client.pid(), Uid(geteuid() + 1));
        ASSERT_FALSE(process);
        EXPECT_EQ(process.error().code(), EPERM);
    });
}

}  // namespace
}  // namespace nsr::authority
