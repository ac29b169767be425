// SPDX-License-Identifier: LGPL-2.1-or-later
#include "varlink/reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cstring>

#include "base/sys.h"

namespace nsr::varlink {
namespace {

using namespace std::literals;

/// Two ends of a connection, and a Reader at one of them.
class ReaderTest : public testing::Test {
protected:
    void SetUp() override {
        auto pair = sys::socket_pair(SOCK_STREAM);
        ASSERT_TRUE(pair);
        ours_ = std::move(pair->first);
        theirs_ = std::move(pair->second);
        int size = 4 << 20;
        ASSERT_EQ(::setsockopt(theirs_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), 0);
        reader_.emplace(ours_.borrow());
    }

    void send(std::string_view bytes, const std::vector<int>& fds = {}, int flags = 0) {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {};
        iovec part{const_cast<char*>(bytes.data()), bytes.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (!fds.empty()) {
            message.msg_control = control;
            message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
            std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
        }
        ASSERT_EQ(::sendmsg(theirs_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL | flags),
                  static_cast<ssize_t>(bytes.size()))
            << strerror(errno);
    }

    /// Everything that is there, as "text/number of descriptors", then why it stopped.
    std::vector<std::string> read_all() {
        std::vector<std::string> seen;
        for (;;) {
            Result<Reader::Input> input = reader_->receive();
            while (auto message = reader_->pop())
                seen.push_back(fmt::format("{}/{}", message->text, message->fds.size()));
            if (!input) seen.push_back(errno_name(input.error().code()));
            if (input && *input == Reader::Input::kReceived) continue;
            if (input && *input == Reader::Input::kEnd) seen.push_back("end");
            return seen;
        }
    }

    UniqueFd ours_, theirs_;
    std::optional<Reader> reader_;
};

using Seen = std::vector<std::string>;

size_t open_fds() { return sys::list_directory(sys::kCwd, "/proc/self/fd")->size(); }

TEST_F(ReaderTest, nothing_is_there) {
    EXPECT_EQ(read_all(), Seen{});
    EXPECT_FALSE(reader_->has_partial());
    EXPECT_FALSE(reader_->at_end());
}

TEST_F(ReaderTest, several_messages_in_one_read) {
    std::string all;
    Seen expected;
    for (int i = 0; i < 50; i++) {
        all += fmt::format("m{}", i) + '\0';
        expected.push_back(fmt::format("m{}/0", i));
    }
    send(all);
    EXPECT_EQ(read_all(), expected);
    EXPECT_FALSE(reader_->has_partial());
}

TEST_F(ReaderTest, receive_does_not_run_ahead_of_pop) {
    send("a\0"sv);
    ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    send("b\0"sv);
    ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    EXPECT_TRUE(reader_->has_message());
    EXPECT_EQ(reader_->pop()->text, "a");
    EXPECT_FALSE(reader_->pop());
    EXPECT_EQ(read_all(), Seen{"b/0"});
}

TEST_F(ReaderTest, byte_by_byte) {
    std::string_view text = "{\"method\":\"a.B\"}\0"sv;
    for (size_t i = 0; i < text.size(); i++) {
        EXPECT_EQ(reader_->has_partial(), i > 0);
        send(text.substr(i, 1));
        EXPECT_EQ(read_all(), i + 1 < text.size() ? Seen{} : Seen{"{\"method\":\"a.B\"}/0"});
    }
    EXPECT_FALSE(reader_->has_partial());
}

TEST_F(ReaderTest, one_and_a_half_then_the_rest) {
    send("first\0sec"sv);
    EXPECT_EQ(read_all(), Seen{"first/0"});
    EXPECT_TRUE(reader_->has_partial());
    send("ond\0"sv);
    EXPECT_EQ(read_all(), Seen{"second/0"});
}

TEST_F(ReaderTest, the_end_comes_after_what_was_sent) {
    send("a\0b\0c"sv);
    theirs_.reset();
    EXPECT_EQ(read_all(), (Seen{"a/0", "b/0", "end"}));
    EXPECT_TRUE(reader_->at_end());
    EXPECT_TRUE(reader_->has_partial());
    EXPECT_EQ(read_all(), Seen{"end"});
}

TEST_F(ReaderTest, half_close) {
    send("a\0"sv);
    ::shutdown(theirs_.get(), SHUT_WR);
    EXPECT_EQ(read_all(), (Seen{"a/0", "end"}));
}

TEST_F(ReaderTest, empty_and_blank_messages_are_handed_out_to_be_refused) {
    send("\0 \0\n\t\0x\0"sv);
    EXPECT_EQ(read_all(), (Seen{"/0", " /0", "\n\t/0", "x/0"}));
}

TEST_F(ReaderTest, large_messages) {
    std::string text(1 << 20, 'x');
    send(text);
    EXPECT_EQ(read_all(), Seen{});
    EXPECT_TRUE(reader_->has_partial());
    send("\0y\0"sv);
    EXPECT_EQ(read_all(), (Seen{text + "/0", "y/0"}));
}

TEST_F(ReaderTest, size_limit_is_exact_and_earlier_messages_are_kept) {
    reader_.emplace(ours_.borrow(), Reader::Limits{.max_message = 100});
    std::string fits(100, 'x');
    send("a\0"s + fits + '\0' + fits + "x\0b\0"s);
    EXPECT_EQ(read_all(), (Seen{"a/0", fits + "/0", "EMSGSIZE"}));
    EXPECT_EQ(read_all(), Seen{"EMSGSIZE"});
}

TEST_F(ReaderTest, size_limit_holds_for_what_is_unfinished) {
    reader_.emplace(ours_.borrow(), Reader::Limits{.max_message = 100});
    send("a\0"s + std::string(100, ' '));
    EXPECT_EQ(read_all(), Seen{"a/0"});
    send(" ");
    EXPECT_EQ(read_all(), Seen{"EMSGSIZE"});
}

TEST_F(ReaderTest, descriptors_come_with_the_first_byte) {
    send("a\0"sv, {0, 1});
    ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    auto message = reader_->pop();
    ASSERT_EQ(message->fds.size(), 2u);
    for (const UniqueFd& fd : message->fds) EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
    send("b\0"sv);
    EXPECT_EQ(read_all(), Seen{"b/0"});
}

TEST_F(ReaderTest, order_of_descriptors_is_kept) {
    auto other = sys::socket_pair(SOCK_STREAM);
    struct stat expected[2], got;
    ASSERT_EQ(::fstat(other->first.get(), &expected[0]), 0);
    ASSERT_EQ(::fstat(other->second.get(), &expected[1]), 0);
    send(" ", {other->first.get()});
    send("a\0"sv, {other->second.get()});
    while (!reader_->has_message()) ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    auto message = reader_->pop();
    ASSERT_EQ(message->fds.size(), 2u);
    for (size_t i = 0; i < 2; i++) {
        ASSERT_EQ(::fstat(message->fds[i].get(), &got), 0);
        EXPECT_EQ(got.st_ino, expected[i].st_ino);
    }
}

TEST_F(ReaderTest, descriptors_behind_messages_without) {
    send("a\0"sv);
    send("bb\0cc\0"sv);
    send("d\0"sv, {0});
    send("e\0"sv);
    send("f\0"sv, {0, 1, 2});
    send("g\0"sv, {0});
    send("h\0"sv);
    EXPECT_EQ(read_all(), (Seen{"a/0", "bb/0", "cc/0", "d/1", "e/0", "f/3", "g/1", "h/0"}));
}

TEST_F(ReaderTest, every_offset_before_descriptors_is_found) {
    for (size_t size = 0; size < 70; size++) {
        std::string before(size, 'x');
        send(before + '\0');
        send("y\0z\0"sv, {0});
        EXPECT_EQ(read_all(), (Seen{before + "/0", "y/1", "z/0"}));
    }
}

TEST_F(ReaderTest, descriptors_are_joined_to_nothing_behind_them) {
    send("a"sv, {0});
    send("a\0b\0"sv);
    send("c"sv);
    send("c\0"sv);
    EXPECT_EQ(read_all(), (Seen{"aa/1", "b/0", "cc/0"}));
}

TEST_F(ReaderTest, descriptors_with_white_space_before_the_message) {
    send(" ", {0});
    EXPECT_EQ(read_all(), Seen{});
    EXPECT_TRUE(reader_->has_partial());
    send("\t", {0, 1});
    send("\r\n"sv);
    send("a\0b\0"sv, {0});
    send("\n"sv, {0});
    EXPECT_EQ(read_all(), (Seen{" \t\r\na/4", "b/0"}));
    send("c\0"sv);
    EXPECT_EQ(read_all(), Seen{"\nc/1"});
}

TEST_F(ReaderTest, descriptors_in_the_middle_end_it_and_are_closed) {
    size_t before = open_fds();
    for (int pause = 0; pause < 2; pause++) {
        SetUp();
        send("good\0{\"me"sv);
        if (pause) {
            EXPECT_EQ(read_all(), Seen{"good/0"});
        }
        send("thod\":1}\0next\0"sv, {0, 1});
        EXPECT_EQ(read_all(), pause ? Seen{"EBADMSG"} : (Seen{"good/0", "EBADMSG"}));
        EXPECT_EQ(read_all(), Seen{"EBADMSG"});
    }
    reader_.reset();
    EXPECT_EQ(open_fds(), before);
}

TEST_F(ReaderTest, descriptors_with_the_terminating_nul_are_in_the_middle) {
    send("a"sv);
    send("\0"sv, {0});
    EXPECT_EQ(read_all(), Seen{"EBADMSG"});
}

TEST_F(ReaderTest, the_most_descriptors) {
    for (int round = 0; round < 5; round++) send("a\0"sv, std::vector<int>(253, 0));
    EXPECT_EQ(read_all(), (Seen{"a/253", "a/253", "a/253", "a/253", "a/253"}));
}

TEST_F(ReaderTest, too_many_descriptors_are_all_closed) {
    size_t before = open_fds();
    send("ok\0"sv, {0});
    send(" ", std::vector<int>(253, 0));
    send("a\0"sv, {0});
    EXPECT_EQ(read_all(), (Seen{"ok/1", "EMFILE"}));
    reader_.emplace(ours_.borrow());
    EXPECT_EQ(open_fds(), before);
}

TEST_F(ReaderTest, a_lower_limit_of_descriptors) {
    reader_.emplace(ours_.borrow(), Reader::Limits{.max_fds = 2});
    send("a\0"sv, {0, 1});
    send("a\0"sv, {0, 1, 2});
    EXPECT_EQ(read_all(), (Seen{"a/2", "EMFILE"}));
}

TEST_F(ReaderTest, unfinished_descriptors_are_closed_with_the_reader) {
    size_t before = open_fds();
    send("{", std::vector<int>(250, 0));
    EXPECT_EQ(read_all(), Seen{});
    EXPECT_TRUE(reader_->has_partial());
    EXPECT_EQ(open_fds(), before + 250);
    reader_.emplace(ours_.borrow());
    EXPECT_EQ(open_fds(), before);
}

TEST_F(ReaderTest, descriptors_that_this_process_has_no_room_for) {
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    size_t before = open_fds();
    send("a\0"sv, std::vector<int>(200, 0));
    rlimit tight{before + 50, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    Seen seen = read_all();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_EQ(seen, Seen{"EMFILE"});
    EXPECT_EQ(open_fds(), before);
}

TEST_F(ReaderTest, urgent_data_is_a_byte_like_any_other) {
    ASSERT_EQ(*reader_->receive(), Reader::Input::kNothing);
    char byte = 'a';
    if (::send(theirs_.get(), &byte, 1, MSG_OOB) < 0)
        GTEST_SKIP() << "this kernel has no urgent data on AF_UNIX sockets";
    send("b\0"sv);
    EXPECT_EQ(read_all(), Seen{"ab/0"});
}

TEST_F(ReaderTest, many_messages_through_a_small_buffer) {
    std::string text(3000, 'x');
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 7; i++) send(text + '\0');
        send("y\0"sv, {0});
        Seen expected(7, text + "/0");
        expected.push_back("y/1");
        EXPECT_EQ(read_all(), expected);
    }
}

TEST_F(ReaderTest, errors_of_the_socket_are_passed_on) {
    Reader broken{BorrowedFd(-1)};
    EXPECT_EQ(broken.receive().error().code(), EBADF);
    EXPECT_EQ(broken.receive().error().code(), EBADF);
}

class LeavingReaderTest : public ReaderTest {
protected:
    void SetUp() override {
        ReaderTest::SetUp();
        reader_.emplace(ours_.borrow(), Reader::Limits{.rest = Reader::Limits::Rest::kLeave});
    }
    std::string left() const {
        char buffer[8192];
        ssize_t n = ::recv(ours_.get(), buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
        return n < 0 ? "" : std::string(buffer, static_cast<size_t>(n));
    }
};

TEST_F(LeavingReaderTest, TakesWholeMessagesOnly) {
    send("one\0two\0thr"sv);
    EXPECT_EQ(*reader_->receive(), Reader::Input::kReceived);
    EXPECT_EQ(reader_->pop()->text, "one");
    EXPECT_EQ(reader_->pop()->text, "two");
    EXPECT_EQ(*reader_->receive(), Reader::Input::kLeft);
    EXPECT_FALSE(reader_->has_partial());
    EXPECT_EQ(left(), "thr");
    send("ee\0"sv);
    EXPECT_EQ(*reader_->receive(), Reader::Input::kReceived);
    EXPECT_EQ(reader_->pop()->text, "three");
    EXPECT_EQ(*reader_->receive(), Reader::Input::kNothing);
}

TEST_F(LeavingReaderTest, DescriptorsOfWhatIsLeftStay) {
    send("one\0"sv);
    send("{", {0, 0});
    EXPECT_EQ(*reader_->receive(), Reader::Input::kReceived);
    EXPECT_EQ(reader_->pop()->fds.size(), 0u);
    EXPECT_EQ(*reader_->receive(), Reader::Input::kLeft);
    EXPECT_FALSE(reader_->has_partial());
    send("}\0"sv);
    while (!reader_->has_message()) ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    auto message = reader_->pop();
    EXPECT_EQ(message->text, "{}");
    EXPECT_EQ(message->fds.size(), 2u);
}

TEST_F(LeavingReaderTest, WhatIsTooLongToBeSeenIsTakenAndGivenToAnother) {
    send("{", {0});
    send(std::string(100'000, ' '));
    Result<Reader::Input> input = Reader::Input::kReceived;
    while (*input == Reader::Input::kReceived) {
        input = reader_->receive();
        ASSERT_TRUE(input);
    }
    EXPECT_TRUE(reader_->has_partial());
    auto unfinished = reader_->take_unfinished();
    EXPECT_FALSE(reader_->has_partial());
    reader_.emplace(ours_.borrow(), Reader::Limits{.rest = Reader::Limits::Rest::kLeave});
    send("}\0"sv);
    ASSERT_TRUE(reader_->resume(std::move(unfinished)));
    EXPECT_TRUE(reader_->has_partial());
    while (!reader_->has_message()) ASSERT_EQ(*reader_->receive(), Reader::Input::kReceived);
    auto message = reader_->pop();
    EXPECT_EQ(message->text, "{" + std::string(100'000, ' ') + "}");
    EXPECT_EQ(message->fds.size(), 1u);
}

TEST_F(LeavingReaderTest, DescriptorsInTheMiddleAreRefusedAfterAResume) {
    ASSERT_TRUE(reader_->resume({"{", {}}));
    send("}\0"sv, {0});
    auto input = reader_->receive();
    ASSERT_FALSE(input);
    EXPECT_EQ(input.error().code(), EBADMSG);
}

TEST_F(LeavingReaderTest, ResumesNoWholeMessage) {
    EXPECT_FALSE(reader_->resume({std::string("{}\0", 3), {}}));
    EXPECT_FALSE(reader_->resume({std::string(3 << 20, ' '), {}}));
}

}  // namespace
}  // namespace nsr::varlink
