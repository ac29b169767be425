// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/bpf_call.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace nsr::policy {

namespace {

uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

int call(bpf_cmd command, bpf_attr& attributes) {
    return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

bpf_attr element(BorrowedFd map, const void* key, const void* value) {
    bpf_attr attributes{};
    attributes.map_fd = static_cast<uint32_t>(map.get());
    attributes.key = address(key);
    attributes.value = address(value);
    return attributes;
}

Result<Lookup> found_or_absent(int result, int code, const char* what) {
    if (result >= 0) return Lookup::kFound;
    if (code == ENOENT) return Lookup::kAbsent;
    return fail_errno(code, what);
}

Result<UniqueFd> by_id(bpf_cmd command, uint32_t id, const char* what) {
    bpf_attr attributes{};
    attributes.prog_id = id;  // in a union with map_id and link_id
    UniqueFd fd(call(command, attributes));
    int code = errno;
    if (!fd) return fail_errno(code, what);
    return fd;
}

}  // namespace

Result<Lookup> map_lookup(BorrowedFd map, const void* key, void* value) {
    auto attributes = element(map, key, value);
    int result = call(BPF_MAP_LOOKUP_ELEM, attributes);
    return found_or_absent(result, errno, "look up in BPF map");
}

Status map_update(BorrowedFd map, const void* key, const void* value) {
    auto attributes = element(map, key, value);
    attributes.flags = BPF_ANY;
    int result = call(BPF_MAP_UPDATE_ELEM, attributes);
    int code = errno;
    if (result < 0) return fail_errno(code, "update BPF map");
    return {};
}

Status map_delete(BorrowedFd map, const void* key) {
    auto attributes = element(map, key, nullptr);
    int result = call(BPF_MAP_DELETE_ELEM, attributes);
    int code = errno;
    if (result < 0 && code != ENOENT) return fail_errno(code, "delete from BPF map");
    return {};
}

Result<Lookup> map_next_key(BorrowedFd map, const void* key, void* next) {
    auto attributes = element(map, key, next);
    int result = call(BPF_MAP_GET_NEXT_KEY, attributes);
    return found_or_absent(result, errno, "walk through BPF map");
}

Result<UniqueFd> open_pin(const std::string& path) {
    bpf_attr attributes{};
    attributes.pathname = address(path.c_str());
    UniqueFd fd(call(BPF_OBJ_GET, attributes));
    int code = errno;
    if (!fd) return fail_errno(code, path);
    return fd;
}

Status pin(BorrowedFd object, const std::string& path) {
    bpf_attr attributes{};
    attributes.pathname = address(path.c_str());
    attributes.bpf_fd = static_cast<uint32_t>(object.get());
    int result = call(BPF_OBJ_PIN, attributes);
    int code = errno;
    if (result < 0) return fail_errno(code, path);
    return {};
}

Status object_info(BorrowedFd object, void* info, size_t size) {
    bpf_attr attributes{};
    attributes.info.bpf_fd = static_cast<uint32_t>(object.get());
    attributes.info.info_len = static_cast<uint32_t>(size);
    attributes.info.info = address(info);
    int result = call(BPF_OBJ_GET_INFO_BY_FD, attributes);
    int code = errno;
    if (result < 0) return fail_errno(code, "look at BPF object");
    return {};
}

Result<UniqueFd> program_by_id(uint32_t id) { return by_id(BPF_PROG_GET_FD_BY_ID, id, "open BPF program"); }
Result<UniqueFd> map_by_id(uint32_t id) { return by_id(BPF_MAP_GET_FD_BY_ID, id, "open BPF map"); }

}  // namespace nsr::policy
