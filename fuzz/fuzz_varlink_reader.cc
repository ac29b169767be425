// SPDX-License-Identifier: LGPL-2.1-or-later
// Feeds the framing and the messages through a real socket, in pieces and with descriptors at places that the input
// chooses, to the very objects of the server.

#include <sys/socket.h>
#include <unistd.h>
#include <cstring>
#include <string_view>

#include "base/sys.h"
#include "base/types.h"
#include "varlink/message.h"
#include "varlink/parameters.h"
#include "varlink/reader.h"

namespace {

using namespace nsr;
using namespace nsr::varlink;

constexpr std::string_view kValues[] = {"a", "b"};
constexpr Field kFields[] = {
    {.name = "s"},
    {.name = "i", .kind = Kind::kInt, .presence = Presence::kOptional, .bounds = kIdBounds},
    {.name = "l", .kind = Kind::kStrings, .presence = Presence::kOptional},
    {.name = "v", .presence = Presence::kOptional, .values = kValues},
};

/// What must hold for whatever came; ends the program where it does not.
void require(bool condition) {
    if (!condition) __builtin_trap();
}

void send_piece(BorrowedFd socket, std::string_view bytes, size_t fd_count) {
    int fds[4] = {0, 0, 0, 0};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        std::memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    ::sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void look_at(const RawMessage& message) {
    require(message.fds.size() <= 8 && !message.text.contains('\0'));
    static_cast<void>(parse_reply(message.text));
    Result<Request> request = parse_request(message.text);
    if (!request) return;
    // What was read can be written, and then reads the same.
    std::string text = serialize_request(*request);
    require(text.find('\0') == text.size() - 1);
    text.pop_back();
    Result<Request> again = parse_request(text);
    require(again.has_value() && again->method == request->method);
    Parameters parameters(kFields, std::move(request->parameters), request->duplicate_parameter);
    if (parameters.find_malformed() || parameters.find_out_of_bounds()) return;
    require(parameters.string("s").has_value());
    int64_t id = parameters.integer("i").value_or(0);
    require(id >= 0 && is_valid_id(static_cast<uint64_t>(id)));
}

void drain(Reader& reader) {
    for (;;) {
        Result<Reader::Input> input = reader.receive();
        while (auto message = reader.pop()) look_at(*message);
        if (!input || *input != Reader::Input::kReceived) return;
    }
}

}  // namespace

/// Each piece: one byte with how many bytes follow (6 bits; 63: all), whether descriptors come with them, and whether
/// the reader gets to see what is there before the next piece; then the bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto pair = sys::socket_pair(SOCK_STREAM);
    require(pair.has_value());
    Reader reader(pair->first.borrow(), {.max_message = 4096, .max_fds = 8});
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        auto control = static_cast<uint8_t>(rest[0]);
        rest.remove_prefix(1);
        size_t length = control & 63;
        std::string_view piece = rest.substr(0, length == 63 ? rest.size() : length);
        rest.remove_prefix(piece.size());
        if (!piece.empty()) send_piece(pair->second.borrow(), piece, control & 64 ? 1 + piece.size() % 4 : 0);
        if (control & 128) drain(reader);
    }
    pair->second.reset();
    drain(reader);
    drain(reader);
    return 0;
}
