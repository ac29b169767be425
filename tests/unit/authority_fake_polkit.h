// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <fcntl.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/sys.h"

namespace nsr::authority {

/// Something on the bus that has polkit's name, and answers as the test says.
class FakePolkit {
public:
    enum class Answer { kAllow, kDeny, kChallenge, kError, kWrongType, kEmpty, kSilence, kLeave };
    enum class Descriptors { kTaken, kRefused };

    /// What it was asked.
    struct Question {
        std::string kind, action, cancellation;
        std::map<std::string, uint64_t> subject;  ///< pidfd: the pid that it stands for
        std::map<std::string, std::string> types, details;
        uint32_t flags = 0;
    };

    explicit FakePolkit(Answer answer, Descriptors descriptors = Descriptors::kTaken,
                        std::function<void()> before_answer = {})
        : answer_(answer), before_answer_(std::move(before_answer)) {
        must(sd_bus_new(&bus_));
        must(sd_bus_set_address(bus_, getenv("DBUS_SYSTEM_BUS_ADDRESS")));
        must(sd_bus_set_bus_client(bus_, 1));
        must(sd_bus_negotiate_fds(bus_, descriptors == Descriptors::kTaken));
        must(sd_bus_start(bus_));
        must(sd_bus_request_name(bus_, "org.freedesktop.PolicyKit1", 0));
        must(sd_bus_add_filter(bus_, nullptr, on_message, this));
        thread_ = std::thread([this] { run(); });
    }
    ~FakePolkit() {
        stop_ = true;
        thread_.join();
        sd_bus_close_unref(bus_);
    }
    FakePolkit(const FakePolkit&) = delete;
    FakePolkit& operator=(const FakePolkit&) = delete;

    void set_answer(Answer answer) { answer_ = answer; }
    size_t asked() const { return asked_; }
    /// To be looked at after an answer.
    const std::vector<Question>& questions() const { return questions_; }

private:
    static void must(int r) {
        if (r < 0) abort();
    }
    void run() {
        while (!stop_) {
            int r = sd_bus_process(bus_, nullptr);
            if (r < 0) return;  // the bus is gone, or we have left it
            if (r == 0) sd_bus_wait(bus_, 20'000);
        }
    }
    static int on_message(sd_bus_message* m, void* self, sd_bus_error*) {
        if (sd_bus_message_is_method_call(m, "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization") <= 0)
            return 0;
        static_cast<FakePolkit*>(self)->serve(m);
        return 1;
    }
    void serve(sd_bus_message* m) {
        questions_.push_back(read(m));
        ++asked_;
        if (before_answer_) before_answer_();
        switch (answer_.load()) {
            case Answer::kAllow:
                sd_bus_reply_method_return(m, "(bba{ss})", 1, 0, 0);
                break;
            case Answer::kDeny:
                sd_bus_reply_method_return(m, "(bba{ss})", 0, 0, 0);
                break;
            case Answer::kChallenge:
                sd_bus_reply_method_return(m, "(bba{ss})", 0, 1, 1, "polkit.result", "auth_admin");
                break;
            case Answer::kError:
                sd_bus_reply_method_errorf(m, "org.freedesktop.PolicyKit1.Error.Failed", "Action is not registered");
                break;
            case Answer::kWrongType:
                sd_bus_reply_method_return(m, "b", 1);
                break;
            case Answer::kEmpty:
                sd_bus_reply_method_return(m, nullptr);
                break;
            case Answer::kSilence:
                break;
            case Answer::kLeave:
                sd_bus_close(bus_);
                break;
        }
    }
    static Question read(sd_bus_message* m) {
        Question q;
        const char *kind = nullptr, *action = nullptr, *cancellation = nullptr;
        must(sd_bus_message_enter_container(m, 'r', "sa{sv}"));
        must(sd_bus_message_read(m, "s", &kind));
        must(sd_bus_message_enter_container(m, 'a', "{sv}"));
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
            const char *key = nullptr, *type = nullptr;
            must(sd_bus_message_read(m, "s", &key));
            must(sd_bus_message_peek_type(m, nullptr, &type));
            q.types[key] = type;
            must(sd_bus_message_enter_container(m, 'v', type));
            q.subject[key] = number(m, *type);
            must(sd_bus_message_exit_container(m));
            must(sd_bus_message_exit_container(m));
        }
        must(sd_bus_message_exit_container(m));
        must(sd_bus_message_exit_container(m));
        must(sd_bus_message_read(m, "s", &action));
        must(sd_bus_message_enter_container(m, 'a', "{ss}"));
        const char *key = nullptr, *value = nullptr;
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0) q.details[key] = value;
        must(sd_bus_message_exit_container(m));
        must(sd_bus_message_read(m, "us", &q.flags, &cancellation));
        q.kind = kind;
        q.action = action;
        q.cancellation = cancellation;
        return q;
    }
    static uint64_t number(sd_bus_message* m, char type) {
        uint64_t wide = 0;
        uint32_t narrow = 0;
        if (type == 't') {
            must(sd_bus_message_read(m, "t", &wide));
            return wide;
        }
        must(sd_bus_message_read_basic(m, type, &narrow));
        return type == 'h' ? pid_of(static_cast<int>(narrow)) : narrow;
    }
    static uint64_t pid_of(int pidfd) {
        UniqueFd info(open(("/proc/self/fdinfo/" + std::to_string(pidfd)).c_str(), O_RDONLY | O_CLOEXEC));
        std::string text = sys::read_all(info.borrow(), 4096).value();
        return std::stoul(text.substr(text.find("Pid:") + 4));
    }

    std::atomic<Answer> answer_;
    std::function<void()> before_answer_;
    sd_bus* bus_ = nullptr;
    std::atomic<bool> stop_ = false;
    std::atomic<size_t> asked_ = 0;
    std::vector<Question> questions_;
    std::thread thread_;
};

}  // namespace nsr::authority
