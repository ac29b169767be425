// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>
#include <array>
#include <random>

#include "base/printable.h"
#include "reclaim/findings.h"
#include "reclaim/id_text.h"
#include "reclaim/mount_table.h"
#include "reclaim/xattr_ids.h"

namespace nsr::reclaim {
namespace {

using Ids = std::vector<uint32_t>;

std::string little_endian(std::initializer_list<uint32_t> numbers) {
    std::string bytes;
    for (uint32_t number : numbers)
        for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift);
    return bytes;
}

std::string acl(std::initializer_list<std::pair<uint16_t, uint32_t>> entries) {
    std::string bytes = little_endian({2});
    for (auto [tag, id] : entries) bytes += little_endian({tag | 7u << 16, id});
    return bytes;
}

Ids ids_of(std::string_view name, std::string_view value) {
    Ids ids;
    auto status = append_xattr_ids(name, value, ids);
    EXPECT_TRUE(status) << status.error().what();
    return ids;
}

int error_of(std::string_view name, std::string_view value) {
    Ids ids;
    auto status = append_xattr_ids(name, value, ids);
    return status ? 0 : status.error().code();
}

constexpr const char* kAcl = "system.posix_acl_access";
constexpr const char* kCapability = "security.capability";

TEST(ReclaimXattr, UsersAndGroupsOfAnAccessControlList) {
    auto value = acl({{0x01, ~0u}, {0x02, 524288}, {0x02, 7}, {0x04, ~0u}, {0x08, 589824}, {0x10, ~0u}, {0x20, ~0u}});
    EXPECT_EQ(ids_of(kAcl, value), (Ids{524288, 7, 589824}));
    EXPECT_EQ(ids_of("system.posix_acl_default", value).size(), 3u);
    EXPECT_EQ(ids_of("user.posix_acl_access", value), Ids{});
    EXPECT_EQ(ids_of(kAcl, acl({})), Ids{});
}

TEST(ReclaimXattr, BrokenAccessControlLists) {
    auto good = acl({{0x02, 524288}});
    for (size_t size = 0; size < good.size(); size++)
        EXPECT_EQ(error_of(kAcl, good.substr(0, size)), size == 4 ? 0 : EBADMSG) << size;  // 4: an empty one
    EXPECT_EQ(error_of(kAcl, little_endian({3})), EBADMSG);
}

TEST(ReclaimXattr, RootOfACapability) {
    EXPECT_EQ(ids_of(kCapability, little_endian({0x03000000, 1, 0, 0, 0, 524288})), Ids{524288});
    EXPECT_EQ(ids_of(kCapability, little_endian({0x03000001, 1, 0, 0, 0, 61184})), Ids{61184});
    EXPECT_EQ(ids_of(kCapability, little_endian({0x02000000, 1, 0, 0, 0})), Ids{});
    EXPECT_EQ(ids_of(kCapability, little_endian({0x01000000, 1, 0})), Ids{});
}

TEST(ReclaimXattr, BrokenCapabilities) {
    auto good = little_endian({0x03000000, 1, 0, 0, 0, 524288});
    for (size_t size = 0; size < good.size(); size++) EXPECT_EQ(error_of(kCapability, good.substr(0, size)), EBADMSG);
    EXPECT_EQ(error_of(kCapability, good + "x"), EBADMSG);
    EXPECT_EQ(error_of(kCapability, little_endian({0x04000000, 1, 0, 0, 0, 0})), EBADMSG);
}

TEST(ReclaimXattr, AnyBytes) {
    std::mt19937 random(1);
    for (int i = 0; i < 20000; i++) {
        std::string value(random() % 64, '\0');
        for (char& c : value) c = static_cast<char>(random());
        if (value.size() >= 4 && random() % 2) value.replace(0, 4, little_endian({random() % 2 ? 2 : 0x03000000u}));
        Ids ids;
        for (const char* name : {kAcl, kCapability}) (void)append_xattr_ids(name, value, ids);
    }
}

TEST(ReclaimFindings, ThroughLines) {
    Findings findings;
    auto add = [&](Ids ids, const char* where) { findings.add(ids, [&] { return std::string(where); }); };
    add({0, 1000}, "ours");
    add({524288, 524289}, "twice the same range");
    add({524288, 61184}, "line\nfeed \x1b[0m\xff\\");
    for (int i = 0; i < 5; i++) add({1879048191}, "last");
    findings.add_problem("not\nreadable");
    Findings read;
    std::string lines = findings.to_lines();
    for (size_t begin = 0, end; (end = lines.find('\n', begin)) != std::string::npos; begin = end + 1)
        ASSERT_TRUE(read.add_line(lines.substr(begin, end - begin)));
    EXPECT_EQ(read.holders().size(), 3u);
    EXPECT_EQ(read.holders().at(Uid(524288)).count, 2u);
    EXPECT_EQ(read.holders().at(Uid(61184)).examples, std::vector<std::string>{R"(line\x0afeed \x1b[0m\xff\x5c)"});
    EXPECT_EQ(read.holders().at(Uid(1878982656)).count, 5u);
    EXPECT_EQ(read.holders().at(Uid(1878982656)).examples.size(), Findings::kExamples);
    EXPECT_EQ(read.problems(), std::vector<std::string>{R"(not\x0areadable)"});
    EXPECT_EQ(read.to_lines(), lines);
}

TEST(ReclaimFindings, LinesThatMakeNoSense) {
    for (const char* line :
         {"", "H", "H ", "H x 1", "H 5 1", "H 524289 1", "H 524288", "H 99999999999 1", "Q 524288 1"})
        EXPECT_FALSE(Findings().add_line(line)) << line;
}

TEST(ReclaimFindings, ManyProblemsAreStillOne) {
    Findings findings;
    for (int i = 0; i < 1000; i++) findings.add_problem(std::string(5000, 'x'));
    EXPECT_EQ(findings.problems().size(), Findings::kProblems);
    EXPECT_LT(findings.problems()[0].size(), 1100u);
}

TEST(ReclaimFindings, ALongTextIsNotCutInACharacter) {
    for (size_t shift = 0; shift < 3; shift++) {
        std::string text(shift, 'x');
        for (int i = 0; i < 1000; i++) text += "日";
        Findings findings;
        findings.add_problem(text);
        EXPECT_EQ(printable(findings.problems()[0]), findings.problems()[0]);
        EXPECT_LT(findings.problems()[0].size(), 1100u);
    }
}

TEST(ReclaimMountTable, Lines) {
    auto table = parse_mount_table(
        "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
        "30 27 0:31 /@home /a\\040b\\134 rw - btrfs /dev/vdb ro,subvolid=257\n"
        "31 27 0:40 / /x rw,idmapped master:2 propagate_from:3 - fuse.sshfs me@there:/ rw,user_id=1000,group_id=5\n");
    ASSERT_TRUE(table && table->size() == 3);
    EXPECT_TRUE((*table)[0].shows_all());
    EXPECT_EQ((*table)[0].device, "254:0");
    EXPECT_EQ((*table)[1].point, "/a b\\");
    EXPECT_FALSE((*table)[1].shows_all());
    EXPECT_TRUE((*table)[1].super_has("ro"));
    EXPECT_FALSE((*table)[2].shows_all());
    EXPECT_EQ((*table)[2].super_value("user_id"), "1000");
    EXPECT_EQ((*table)[2].super_value("user"), "");
}

TEST(ReclaimMountTable, LinesThatMakeNoSense) {
    for (const char* text : {"x", "1 2 3:4 / / rw", "1 2 3:4 / / rw - ext4 x", "a 2 3:4 / / rw - ext4 x rw"})
        EXPECT_FALSE(parse_mount_table(text)) << text;
}

TEST(ReclaimMountTable, Treatment) {
    auto of = [](const char* type, const char* options = "rw") {
        Mount mount;
        mount.type = type;
        mount.super_options = options;
        return treatment_of(mount);
    };
    for (const char* type : {"ext4", "tmpfs", "nfs4", "cgroup2", "9p", "virtiofs", "unheardof", "devtmpfs"})
        EXPECT_EQ(of(type), Treatment::kLook) << type;
    EXPECT_EQ(of("proc"), Treatment::kNothingStays);
    EXPECT_EQ(of("fuse.sshfs", "rw,user_id=1"), Treatment::kOneUser);
    EXPECT_EQ(of("fuse.sshfs", "rw,user_id=1,allow_other"), Treatment::kLook);
    EXPECT_EQ(of("fuseblk", "rw,user_id=0,allow_other"), Treatment::kLook);
}

TEST(ReclaimIdText, Processes) {
    EXPECT_EQ(ids_of_status("Name:\tUid: 5\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nX:\t1\n"),
              (Ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    EXPECT_EQ(ids_of_status(""), Ids{});
}

TEST(ReclaimIdText, Ipc) {
    auto objects = ids_of_ipc_table(
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime\n"
        "         0          3  1600                  4096   861   861      0 524295     1     2     3          0\n");
    ASSERT_EQ(objects.size(), 1u);
    EXPECT_EQ(objects[0], (Ids{524295, 1, 2, 3}));
}

TEST(ReclaimIdText, Keys) {
    EXPECT_EQ(ids_of_key_users("    0:    90 89/89 85/1000000 1900/25000000\n524288: 1 0/0 0/200 0/20000\n"), Ids{0});
    EXPECT_EQ(ids_of_keys("0071e9d4 I--Q---     3 perm 1f3f0000 524288 65534 keyring   _uid.0: empty\n"),
              (Ids{524288, 65534}));
}

TEST(ReclaimIdText, Maps) {
    EXPECT_EQ(ids_of_map("         0          0 4294967295\n"), Ids{});
    EXPECT_EQ(ids_of_map("0 524288 65536\n"), Ids{524288});
    EXPECT_EQ(ids_of_map("0 524290 65536\n1 1000 1\n"), (Ids{524288, 589824}));
    EXPECT_EQ(ids_of_map("0 61185 2\n"), (Ids{61185, 61186}));
    EXPECT_EQ(ids_of_map("0 100000 65536\n"), Ids{});
    EXPECT_EQ(ids_of_map("0 x y\n0 4294967295 4294967295\n0 524288 0"), Ids{});
}

}  // namespace
}  // namespace nsr::reclaim
