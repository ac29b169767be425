// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>

#include "base/sys.h"
#include "varlink/writer.h"

namespace nsr::varlink {
namespace {

using namespace std::literals;

constexpr uint64_t kSoon = 20'000;
constexpr uint64_t kLong = 30'000'000;

/// A service that the test plays itself, from the same thread.
class ClientTest : public testing::Test {
protected:
    void SetUp() override {
        char directory[] = "/tmp/nsr-client-XXXXXX";
        ASSERT_TRUE(::mkdtemp(directory));
        directory_ = directory;
        path_ = directory_ + "/socket";
        listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.data(), path_.size());
        ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(listener_.get(), 1), 0);
    }
    void TearDown() override {
        ::unlink(path_.c_str());
        ::rmdir(directory_.c_str());
    }

    UniqueFd accept() { return UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
    static void answer(const UniqueFd& socket, std::string_view bytes) {
        ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }

    std::string directory_, path_;
    UniqueFd listener_;
};

TEST_F(ClientTest, calls_and_gets_a_reply_with_descriptors) {
    auto client = Client::connect(path_, kLong);
    ASSERT_TRUE(client) << client.error().what();
    UniqueFd service = accept();
    std::vector<UniqueFd> fds;
    fds.emplace_back(::dup(0));
    ASSERT_TRUE(client->send("a.B", {{"x", 1}}, fds, kLong));
    Reader reader(service.borrow());
    ASSERT_EQ(*reader.receive(), Reader::Input::kReceived);
    ASSERT_TRUE(reader.has_message() || *reader.receive() == Reader::Input::kReceived);
    auto message = reader.pop();
    ASSERT_TRUE(message);
    EXPECT_EQ(message->text, R"({"method":"a.B","parameters":{"x":1}})");
    EXPECT_EQ(message->fds.size(), 1u);

    auto nothing = client->try_receive();
    ASSERT_TRUE(nothing);
    EXPECT_FALSE(*nothing);
    Reply reply{{{"y", 2}}, std::move(message->fds)};
    ASSERT_TRUE(send_outcome(service.borrow(), Outcome(std::move(reply)), kLong));
    pollfd readable{client->fd().get(), POLLIN, 0};
    EXPECT_EQ(*sys::poll({&readable, 1}, kLong), 1u);
    auto result = client->try_receive();
    ASSERT_TRUE(result && *result);
    EXPECT_EQ((*result)->error, "");
    EXPECT_EQ((*result)->parameters["y"].as_int64(), 2);
    EXPECT_EQ((*result)->fds.size(), 1u);
}

TEST_F(ClientTest, gets_an_error_that_waits_already) {
    auto client = Client::connect(path_, kLong);
    UniqueFd service = accept();
    ASSERT_TRUE(send_outcome(service.borrow(), Fault{"a.Bad", {{"parameter", "x"}}}, kLong));
    auto result = client->call("a.B", {}, {}, kLong);
    ASSERT_TRUE(result) << result.error().what();
    EXPECT_EQ(result->error, "a.Bad");
    EXPECT_EQ(result->parameters["parameter"].as_string(), "x");
}

TEST_F(ClientTest, does_not_wait_for_ever) {
    auto client = Client::connect(path_, kLong);
    UniqueFd service = accept();
    EXPECT_EQ(client->call("a.B", {}, {}, kSoon).error().code(), ETIMEDOUT);
    answer(service, "{\"parameters\"");
    EXPECT_EQ(client->call("a.B", {}, {}, kSoon).error().code(), ETIMEDOUT);
}

TEST_F(ClientTest, does_not_wait_for_ever_to_be_accepted) {
    std::vector<Client> waiting;
    for (;;) {
        auto client = Client::connect(path_, 0);
        if (!client) {
            EXPECT_EQ(client.error().code(), EAGAIN);
            break;
        }
        waiting.push_back(*std::move(client));
        ASSERT_LT(waiting.size(), 100u);
    }
    EXPECT_EQ(Client::connect(path_, kSoon).error().code(), ETIMEDOUT);
}

TEST_F(ClientTest, does_not_wait_for_ever_to_send) {
    auto client = Client::connect(path_, kLong);
    std::string large(8 << 20, 'x');
    EXPECT_EQ(client->call("a.B", {{"x", large}}, {}, kSoon).error().code(), ETIMEDOUT);
}

TEST_F(ClientTest, refuses_bad_replies) {
    for (std::string_view bytes : {"x\0"sv, "\0"sv, "{\"error\":null}\0"sv, "{\"continues\":true}\0"sv, "{} {}\0"sv}) {
        auto client = Client::connect(path_, kLong);
        UniqueFd service = accept();
        answer(service, bytes);
        EXPECT_EQ(client->call("a.B", {}, {}, kLong).error().code(), EBADMSG) << bytes;
    }
}

TEST_F(ClientTest, refuses_replies_that_are_too_large) {
    auto client = Client::connect(path_, kLong);
    UniqueFd service = accept();
    std::string text = "{\"parameters\":{\"x\":\"" + std::string(2 << 20, 'x');
    int error = 0;
    // Neither side waits for the other: send what fits, look, go on.
    while (!text.empty() && error == 0) {
        ssize_t n = ::send(service.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) text.erase(0, static_cast<size_t>(n));
        auto result = client->try_receive();
        if (!result) error = result.error().code();
    }
    EXPECT_EQ(error, EMSGSIZE);
}

TEST_F(ClientTest, tells_when_the_service_hangs_up) {
    auto client = Client::connect(path_, kLong);
    accept().reset();
    EXPECT_FALSE(client->call("a.B", {}, {}, kLong));
    auto second = Client::connect(path_, kLong);
    UniqueFd service = accept();
    ::shutdown(service.get(), SHUT_WR);
    EXPECT_EQ(second->call("a.B", {}, {}, kLong).error().code(), ECONNRESET);
}

TEST_F(ClientTest, paths) {
    EXPECT_EQ(Client::connect(path_ + "x", kLong).error().code(), ENOENT);
    EXPECT_EQ(Client::connect("", kLong).error().code(), EINVAL);
    EXPECT_EQ(Client::connect(std::string(108, 'x'), kLong).error().code(), EINVAL);
    listener_.reset();
    EXPECT_EQ(Client::connect(path_, kLong).error().code(), ECONNREFUSED);
}

TEST(Writer, waits_for_a_slow_reader_and_loses_nothing) {
    for (int type : {int{SOCK_STREAM}, SOCK_STREAM | SOCK_NONBLOCK}) {
        auto pair = sys::socket_pair(type);
        std::string message = std::string(3 << 20, 'x') + '\0';
        std::vector<UniqueFd> fds;
        for (int i = 0; i < 253; i++) fds.emplace_back(::dup(0));
        pid_t child = ::fork();
        if (child == 0) ::_exit(send_message(pair->first.borrow(), message, fds, kLong) ? 0 : 1);
        pair->first.reset();
        Reader reader(pair->second.borrow(), {.max_message = 4 << 20});
        while (!reader.has_message()) {
            auto input = reader.receive();
            ASSERT_TRUE(input) << input.error().what();
            ASSERT_NE(*input, Reader::Input::kEnd);
            pollfd readable{pair->second.get(), POLLIN, 0};
            if (*input == Reader::Input::kNothing) {
                ASSERT_EQ(*sys::poll({&readable, 1}, kLong), 1u);
            }
        }
        auto received = reader.pop();
        EXPECT_EQ(received->text.size(), message.size() - 1);
        EXPECT_EQ(received->fds.size(), 253u);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}

TEST(Writer, gives_up_on_a_peer_that_does_not_read) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    std::string message = std::string(3 << 20, 'x') + '\0';
    EXPECT_EQ(send_message(pair->first.borrow(), message, {}, kSoon).error().code(), ETIMEDOUT);
    EXPECT_EQ(send_message(pair->first.borrow(), message, {}, 0).error().code(), ETIMEDOUT);
}

TEST(Writer, sends_in_one_piece) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    std::string message = std::string(10000, 'x') + '\0';
    ASSERT_TRUE(send_message(pair->first.borrow(), message, {}, kLong));
    std::string received(20000, '\0');
    EXPECT_EQ(::recv(pair->second.get(), received.data(), received.size(), 0), static_cast<ssize_t>(message.size()));
}

TEST(Writer, refuses_what_is_no_message) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    EXPECT_EQ(send_message(pair->first.borrow(), "", {}, kLong).error().code(), EINVAL);
    EXPECT_EQ(send_message(pair->first.borrow(), "{}", {}, kLong).error().code(), EINVAL);
    std::vector<UniqueFd> fds;
    for (int i = 0; i < 254; i++) fds.emplace_back(::dup(0));
    EXPECT_EQ(send_message(pair->first.borrow(), "{}\0"sv, fds, kLong).error().code(), EINVAL);
    pair->second.reset();
    EXPECT_EQ(send_message(pair->first.borrow(), "{}\0"sv, {}, kLong).error().code(), EPIPE);
}

}  // namespace
}  // namespace nsr::varlink
