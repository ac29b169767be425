// SPDX-License-Identifier: LGPL-2.1-or-later
// nsresource-injector [--from-exec] ROLE:PID…: follows processes of the service through their system calls, and makes
// them fail as standard input says, line by line:
//   run                                  lets the processes go, which stand still until then
//   arm ROLE CALL NTH ACTION ERROR LATER one fault, see fault.h; counting begins here
//   disarm                               ends it; the answer is "trace COUNT CALL…", with the first letter of the role
//                                        before each call
// Answers: "ready", "armed", and what happens: "hit PID CALL ROLE", "again PID CALL ROLE", "gone PID STATUS". At the
// end of the input all processes are let go.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fault.h"
#include "tracer.h"

namespace {

using nsr::injector::Tracer;

bool obey(Tracer& tracer, const std::string& line) {
    if (line == "run") {
        tracer.run();
        printf("running\n");
    } else if (line == "disarm") {
        tracer.disarm();
    } else if (line.starts_with("arm ")) {
        const auto fault = nsr::injector::parse_fault(line.substr(4));
        if (!fault) return false;
        tracer.arm(*fault);
        printf("armed\n");
    } else {
        return false;
    }
    return true;
}

bool attach(Tracer& tracer, const std::string& argument, bool from_exec) {
    const auto colon = argument.find(':');
    if (colon == std::string::npos) return false;
    const auto role = nsr::injector::parse_role(argument.substr(0, colon));
    return role && tracer.attach(static_cast<pid_t>(std::atol(argument.c_str() + colon + 1)), *role, from_exec);
}

/// Gives false at the end of the input, or at a line that makes no sense.
bool obey_input(Tracer& tracer, std::string& input) {
    char buffer[4096];
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count <= 0) return false;
    input.append(buffer, static_cast<size_t>(count));
    for (size_t end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
        if (!obey(tracer, input.substr(0, end))) {
            fprintf(stderr, "nsresource-injector: what is \"%s\"?\n", input.substr(0, end).c_str());
            return false;
        }
        input.erase(0, end + 1);
    }
    return true;
}

void serve(Tracer& tracer, int signals) {
    std::string input;
    while (true) {
        tracer.poll();
        fflush(stdout);
        pollfd waited[] = {{signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        poll(waited, 2, -1);
        signalfd_siginfo ignored[16];
        if (waited[0].revents != 0 && read(signals, ignored, sizeof ignored) < 0) return;
        if (waited[1].revents != 0 && !obey_input(tracer, input)) return;
    }
}

}  // namespace

int main(int count, char** arguments) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    const int signals = signalfd(-1, &mask, SFD_CLOEXEC);
    Tracer tracer;
    bool from_exec = false;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(arguments[i], "--from-exec") == 0) {
            from_exec = true;
        } else if (!attach(tracer, arguments[i], from_exec)) {
            perror(arguments[i]);
            return EXIT_FAILURE;
        }
    }
    printf("ready\n");
    fflush(stdout);
    serve(tracer, signals);
    return EXIT_SUCCESS;
}
