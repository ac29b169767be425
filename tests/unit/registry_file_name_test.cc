// SPDX-License-Identifier: LGPL-2.1-or-later
#include "registry/file_name.h"

#include "registry_scratch.h"

namespace nsr::registry {
namespace {

TEST(FileName, IsUnderstood) {
    EXPECT_EQ(parse_file_name("i18446744073709551615.userns").kind, FileKind::kEntry);
    EXPECT_EQ(parse_file_name("i18446744073709551615.userns").number, UINT64_MAX);
    EXPECT_EQ(parse_file_name("nfoo-1.userns").name, "foo-1");
    EXPECT_EQ(parse_file_name("u524288.userns").kind, FileKind::kStart);
    EXPECT_EQ(parse_file_name("g524288.userns").kind, FileKind::kStartGid);
    EXPECT_EQ(parse_file_name("u524288.delegate").kind, FileKind::kDelegate);
    EXPECT_EQ(parse_file_name("g524288.delegate").kind, FileKind::kDelegateGid);
    EXPECT_EQ(parse_file_name("o0.owns").kind, FileKind::kOwner);
    EXPECT_EQ(parse_file_name("lock").kind, FileKind::kLock);
}

TEST(FileName, OfAnythingElseIsUnknown) {
    for (auto file : {"",
                      ".",
                      "i",
                      "i.userns",
                      "i0.userns",
                      "i05.userns",
                      "i-5.userns",
                      "i+5.userns",
                      "i5.usernsx",
                      "i5",
                      "i18446744073709551616.userns",
                      "n.userns",
                      "na/b.userns",
                      "na b.userns",
                      "u.userns",
                      "u4294967296.userns",
                      "u01.userns",
                      "x5.userns",
                      "i5.delegate",
                      "o1000.userns",
                      "oroot.owns",
                      ".#i5.userns",
                      "i5.userns.tmp",
                      "lock2",
                      ".userns"})
        EXPECT_EQ(parse_file_name(file).kind, FileKind::kUnknown) << file;
}

TEST(FileName, OfEachLinkIsParsedBack) {
    Registration r = transient(5, "a", 524288);
    EXPECT_EQ(link_files(r),
              (std::vector<std::string>{"na.userns", "u524288.userns", "g524288.userns", "o1000.owns/i5.userns"}));
    EXPECT_EQ(link_files(plain(5, "a")), (std::vector<std::string>{"na.userns", "o1000.owns/i5.userns"}));
    for (const auto& file : {new_content_file(77), new_link_file(77)}) EXPECT_EQ(parse_new_file(file), 77) << file;
    for (auto file : {"0.new", "-1.new", "x.link", "7", "07.link", "99999999999.new", "7.userns"})
        EXPECT_FALSE(parse_new_file(file)) << file;
}

}  // namespace
}  // namespace nsr::registry
