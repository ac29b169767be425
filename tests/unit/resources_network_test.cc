// SPDX-License-Identifier: LGPL-2.1-or-later
#include "resources/network.h"

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "resources/alternative_name.h"
#include "resources/link_info.h"
#include "resources_scratch.h"

namespace nsr::resources {
namespace {

const MacAddress kInsideMac{2, 1, 1, 1, 1, 1};
const LinkSide kHost{"ns-0123456789ab", host_mac_address("ns-0123456789ab")};
const LinkSide kInside{"host0", kInsideMac};

std::optional<LinkInfo> find(const std::string& name) {
    auto socket = RouteSocket::open();
    auto link = find_link(*socket, name);
    EXPECT_TRUE(link) << link.error().what();
    return *link;
}

int flags_of(const std::string& name) {
    UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    struct ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    return ioctl(socket.get(), SIOCGIFFLAGS, &request) < 0 ? -1 : request.ifr_flags;
}

// Links are made in a network namespace of the test's own, which takes them along when it ends.
class Network : public testing::Test {
protected:
    static void SetUpTestSuite() { unshared_ = geteuid() == 0 && unshare(CLONE_NEWNET) == 0; }
    void SetUp() override {
        NEEDS_ROOT();
        ASSERT_TRUE(unshared_);
    }
    void TearDown() override {
        for (const char* name : {"ns-0123456789ab", "ns-ffffffffffff", "ns-0-foo"}) drop(name);
    }
    static void drop(const std::string& name) {
        if (!unshared_) return;
        auto link = find(name);
        if (link) {
            EXPECT_TRUE(RouteSocket::open()->ask(LinkRequest(RTM_DELLINK, 0, link->index)));
        }
    }
    static NetworkNamespace network(const Inside& inside) {
        auto network = NetworkNamespace::from_descriptor(inside.open_namespace("net"));
        EXPECT_TRUE(network) << network.error().what();
        return std::move(*network);
    }
    static inline bool unshared_ = false;
};

#define NEEDS_VETH(made)                                                                       \
    if (!made && made.error().code() == EOPNOTSUPP) GTEST_SKIP() << "this kernel has no veth"; \
    ASSERT_TRUE(made) << made.error().what()
#define NEEDS_TUN() \
    if (access("/dev/net/tun", F_OK) < 0) GTEST_SKIP() << "no /dev/net/tun here"

TEST_F(Network, MakesAPair) {
    Inside inside(CLONE_NEWNET);
    auto target = network(inside);
    auto made = create_veth(target, kHost, "ns-0-foo", kInside);
    NEEDS_VETH(made);
    auto host = find(kHost.name);
    ASSERT_TRUE(host);
    EXPECT_EQ(host->kind, "veth");
    EXPECT_EQ(host->mac, kHost.mac);
    EXPECT_EQ(host->alternative_names, std::vector<std::string>{"ns-0-foo"});
    EXPECT_EQ(flags_of(kHost.name) & IFF_UP, 0);
    EXPECT_FALSE(find(kInside.name)) << "the inside side on the host";
    EXPECT_EQ(in_child([&] {
                  if (setns(target.fd().get(), CLONE_NEWNET) < 0) return 1;
                  auto link = find(kInside.name);
                  return link && link->kind == "veth" && link->mac == kInsideMac && link->alternative_names.empty() &&
                                 (flags_of(kInside.name) & IFF_UP) == 0
                             ? 0
                             : 2;
              }),
              0);
}

TEST_F(Network, RefusesTakenNames) {
    Inside inside(CLONE_NEWNET);
    auto target = network(inside);
    auto made = create_veth(target, kHost, "ns-0-foo", kInside);
    NEEDS_VETH(made);
    auto index = find(kHost.name)->index;
    auto host_taken = create_veth(target, kHost, "ns-0-foo-x", {"x", kInsideMac});
    ASSERT_FALSE(host_taken);
    EXPECT_EQ(host_taken.error().code(), EEXIST);
    const LinkSide other{"ns-ffffffffffff", {2, 2, 2, 2, 2, 2}};
    auto inside_taken = create_veth(target, other, "ns-0-foo-x", kInside);
    ASSERT_FALSE(inside_taken);
    EXPECT_EQ(inside_taken.error().code(), EEXIST);
    EXPECT_FALSE(find(other.name));
    EXPECT_EQ(find(kHost.name)->index, index) << "the first one stays";
    ASSERT_TRUE(create_veth(target, other, "ns-0-foo", {"x", kInsideMac}));
    EXPECT_EQ(find(other.name)->alternative_names, std::vector<std::string>{"ns-0-foo-x"})
        << "the second gets another one";
}

TEST_F(Network, RefusesUnfitNames) {
    Inside inside(CLONE_NEWNET);
    auto target = network(inside);
    EXPECT_FALSE(create_veth(target, {"", {}}, "ns-0-foo", kInside));
    EXPECT_FALSE(create_veth(target, {std::string(3000, 'x'), {}}, "ns-0-foo", kInside));
    EXPECT_FALSE(create_veth(target, kHost, "ns-0-foo", {"a/b", {}}));
    EXPECT_FALSE(create_veth(target, kHost, std::string(128, 'x'), kInside));
    EXPECT_FALSE(create_tap({"%d", {}}, "ns-0-foo", Uid(0)));
    EXPECT_FALSE(remove_link("ns-0123456789abc", Uid(0), "foo"));
    EXPECT_FALSE(find(kHost.name));
}

TEST_F(Network, RemovesAPair) {
    Inside inside(CLONE_NEWNET);
    auto target = network(inside);
    auto made = create_veth(target, kHost, "ns-0-foo-eth0", kInside);
    NEEDS_VETH(made);
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kRemoved);
    EXPECT_FALSE(find(kHost.name));
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kGone);
    EXPECT_EQ(in_child([&] { return setns(target.fd().get(), CLONE_NEWNET) < 0 || find(kInside.name) ? 1 : 0; }), 0);
}

TEST_F(Network, LeavesALinkOfSomebodyElse) {
    Inside inside(CLONE_NEWNET);
    auto made = create_veth(network(inside), kHost, "ns-0-bar", kInside);
    NEEDS_VETH(made);
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kNotOurs);
    EXPECT_EQ(*remove_link(kHost.name, Uid(1000), "bar"), LinkRemoval::kNotOurs);
    EXPECT_TRUE(find(kHost.name));
}

TEST_F(Network, AnAlternativeNameIsNotTheName) {
    Inside inside(CLONE_NEWNET);
    auto made = create_veth(network(inside), kHost, "ns-0-foo", kInside);
    NEEDS_VETH(made);
    EXPECT_EQ(*remove_link("ns-0-foo", Uid(0), "foo"), LinkRemoval::kGone);
    EXPECT_TRUE(find(kHost.name));
}

// What a worker that died between the two requests left.
void make_nameless(const char* kind, const MacAddress& mac) {
    LinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    request.put(IFLA_IFNAME, kHost.name);
    request.put(IFLA_ADDRESS, mac);
    request.nest(IFLA_LINKINFO, [&] { request.put(IFLA_INFO_KIND, std::string(kind)); });
    EXPECT_TRUE(RouteSocket::open()->ask(request)) << kind;
}

TEST_F(Network, RemovesAnUnfinishedPair) {
    make_nameless("veth", kHost.mac);
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kRemoved);
    make_nameless("veth", kInsideMac);
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kNotOurs);
}

TEST_F(Network, LeavesALinkOfAnotherKind) {
    LinkRequest request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    request.put(IFLA_IFNAME, kHost.name);
    request.put(IFLA_ADDRESS, kHost.mac);
    request.nest(IFLA_LINKINFO, [&] { request.put(IFLA_INFO_KIND, std::string("bridge")); });
    auto socket = RouteSocket::open();
    auto made = socket->ask(request);
    if (!made && made.error().code() == EOPNOTSUPP) GTEST_SKIP() << "this kernel has no bridge";
    ASSERT_TRUE(made);
    ASSERT_TRUE(set_alternative_name(*socket, kHost.name, "ns-0-foo", "x"));
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kNotOurs);
}

TEST_F(Network, MakesATap) {
    NEEDS_TUN();
    auto tap = create_tap(kHost, "ns-0-foo", Uid(524288));
    ASSERT_TRUE(tap) << tap.error().what();
    struct ifreq request{};
    ASSERT_EQ(ioctl(tap->get(), TUNGETIFF, &request), 0);
    EXPECT_EQ(request.ifr_name, kHost.name);
    auto kFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_PERSIST;
    EXPECT_EQ(request.ifr_flags & kFlags, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    EXPECT_EQ(fcntl(tap->get(), F_GETFD), FD_CLOEXEC);
    auto link = find(kHost.name);
    ASSERT_TRUE(link);
    EXPECT_EQ(link->kind, "tun");
    EXPECT_EQ(link->mac, kHost.mac);
    EXPECT_EQ(link->alternative_names, std::vector<std::string>{"ns-0-foo"});
    EXPECT_EQ(flags_of(kHost.name) & IFF_UP, 0);
    tap->reset();
    EXPECT_FALSE(find(kHost.name)) << "it must go with its descriptor";
}

TEST_F(Network, TheTapIsOwnedByOneUid) {
    NEEDS_TUN();
    auto tap = create_tap(kHost, "ns-0-foo", Uid(524288));
    ASSERT_TRUE(tap);
    auto attach_as = [](uid_t uid) {
        return in_child([uid] {
            int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
            struct ifreq request{};
            kHost.name.copy(request.ifr_name, IFNAMSIZ - 1);
            request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
            if (fd < 0 || setresuid(uid, uid, uid) < 0) return 0;
            return ioctl(fd, TUNSETIFF, &request) < 0 ? errno : 0;
        });
    };
    EXPECT_EQ(attach_as(524288), EBUSY) << "may, but it is in use";
    EXPECT_EQ(attach_as(524289), EPERM);
}

TEST_F(Network, ATapNameThatIsTaken) {
    NEEDS_TUN();
    auto tap = create_tap(kHost, "ns-0-foo", Uid(524288));
    ASSERT_TRUE(tap);
    auto again = create_tap(kHost, "ns-0-bar", Uid(524288));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), EEXIST);
    auto alternative = create_tap({"ns-ffffffffffff", kInsideMac}, "ns-0-foo", Uid(524288));
    ASSERT_TRUE(alternative);
    EXPECT_EQ(find("ns-ffffffffffff")->alternative_names, std::vector<std::string>{"ns-0-foo-tap"});
    EXPECT_EQ(find(kHost.name)->alternative_names, std::vector<std::string>{"ns-0-foo"});
}

TEST_F(Network, RemovesATapWhoseDescriptorIsHeld) {
    NEEDS_TUN();
    auto tap = create_tap(kHost, "ns-0-foo", Uid(524288));
    ASSERT_TRUE(tap);
    ASSERT_EQ(ioctl(tap->get(), TUNSETPERSIST, 1), 0) << "whoever holds it can do this";
    EXPECT_EQ(*remove_link(kHost.name, Uid(0), "foo"), LinkRemoval::kRemoved);
    EXPECT_FALSE(find(kHost.name));
}

TEST_F(Network, KnowsTheOwnerOfANetworkNamespace) {
    Inside inside(CLONE_NEWNET);
    EXPECT_EQ(network(inside).owner(), inside.identity());
    UniqueFd host(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    auto own = NetworkNamespace::from_descriptor(std::move(host));
    ASSERT_FALSE(own);
    EXPECT_EQ(own.error().code(), EINVAL);
}

TEST_F(Network, RefusesWhatIsNoNetworkNamespace) {
    for (const char* path : {"/etc/passwd", "/", "/dev/null", "/proc/self/ns/user", "/proc/self/ns/mnt"}) {
        auto refused = NetworkNamespace::from_descriptor(UniqueFd(open(path, O_RDONLY | O_CLOEXEC)));
        ASSERT_FALSE(refused) << path;
        EXPECT_EQ(refused.error().code(), EINVAL) << path;
    }
    Inside inside(CLONE_NEWNET);
    UniqueFd plain = inside.open_namespace("net");
    for (int flags : {O_PATH, O_RDONLY | O_NONBLOCK}) {
        UniqueFd fd(open(fmt::format("/proc/self/fd/{}", plain.get()).c_str(), flags | O_CLOEXEC));
        auto refused = NetworkNamespace::from_descriptor(std::move(fd));
        ASSERT_FALSE(refused) << flags;
        EXPECT_EQ(refused.error().code(), EREMOTEIO) << flags;
    }
}

}  // namespace
}  // namespace nsr::resources
