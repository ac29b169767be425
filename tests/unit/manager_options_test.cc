// SPDX-License-Identifier: LGPL-2.1-or-later
#include "manager/options.h"

#include <gtest/gtest.h>
#include <filesystem>
#include <fstream>
#include <vector>

namespace nsr::manager {
namespace {

class OptionsTest : public ::testing::Test {
protected:
    OptionsTest() {
        std::string path = "/tmp/nsr-options-XXXXXX";
        if (::mkdtemp(path.data())) directory = path;
        std::filesystem::create_directory(directory / "conf.d");
    }
    ~OptionsTest() override { std::filesystem::remove_all(directory); }

    void write(const std::string& file, const std::string& text) const { std::ofstream(directory / file) << text; }
    Result<Options> parse(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"nsresourced", "--config=" + (directory / "conf").string()});
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        return parse_options(static_cast<int>(arguments.size()), argv.data());
    }

    std::filesystem::path directory;
};

TEST_F(OptionsTest, HaveDefaults) {
    auto options = parse({});
    ASSERT_TRUE(options) << options.error().what();
    EXPECT_EQ(options->runtime_dir, "/run/systemd");
    EXPECT_EQ(options->state_dir, "/var/lib/nsresource");
    EXPECT_FALSE(options->enforcement);
    EXPECT_EQ(options->log_level, log::Level::kInfo);
}

TEST_F(OptionsTest, TheLastWordCounts) {
    write("conf", "# comment\n[NamespaceResource]\nEnforcement=refuse\nLogLevel=debug\n");
    EXPECT_EQ(*parse({})->enforcement, policy::Level::kRefuse);
    write("conf.d/10.conf", "[NamespaceResource]\nEnforcement=none\n");
    write("conf.d/20.conf", "[NamespaceResource]\nEnforcement=quarantine\n");
    write("conf.d/30.off", "[NamespaceResource]\nEnforcement=none\n");
    EXPECT_EQ(*parse({})->enforcement, policy::Level::kQuarantine);
    EXPECT_EQ(parse({})->log_level, log::Level::kDebug);
    EXPECT_FALSE(parse({"--enforcement=auto"})->enforcement);
    EXPECT_EQ(parse({"--log-level=error"})->log_level, log::Level::kError);
}

TEST_F(OptionsTest, RefuseWhatMakesNoSense) {
    for (const char* bad :
         {"--enforcement=maybe", "--log-level=loud", "--runtime-dir=relative", "--state-dir=", "surplus", "--what"})
        EXPECT_FALSE(parse({bad})) << bad;
    write("conf", "[NamespaceResource]\nEnforcement=maybe\n");
    EXPECT_FALSE(parse({}));
    write("conf", "[NamespaceResource]\nno equals sign\n");
    EXPECT_FALSE(parse({}));
}

TEST_F(OptionsTest, PassOverWhatANewerVersionMayKnow) {
    write("conf", "[NamespaceResource]\nUnheardOf=1\n[Other]\nx=y\n");
    EXPECT_TRUE(parse({}));
}

}  // namespace
}  // namespace nsr::manager
