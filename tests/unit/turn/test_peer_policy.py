"""Which peers may be reached: by example for each network, and at both ends of each."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest

from turnnode.relay.peer_policy import OwnAddresses, PeerPolicy, Reach, is_globally_routable

OWN = OwnAddresses(
    listeners=frozenset({("9.9.9.1", 3478), ("2a00:9::1", 3478)}),
    relay_hosts=frozenset({"9.9.9.9", "2a00:9::9"}),
)
STRICT = PeerPolicy(own=OWN)
REFUSED_NETWORKS = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "2001::/32", "2001:2::/48", "2001:10::/28",
    "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
NEIGHBOURS = [
    "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
    "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "203.0.112.255", "203.0.114.0",
    "223.255.255.255",
    "2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "2606:4700::1111", "2a00:1::1", "3ffe::1",
]  # fmt: skip


@pytest.mark.parametrize("network", REFUSED_NETWORKS)
def test_first_and_last_address_of_each_special_network_is_refused(network: str) -> None:
    parsed = ip_network(network)

    assert STRICT.reach_of(str(parsed[0])) is Reach.NOTHING
    assert STRICT.reach_of(str(parsed[-1])) is Reach.NOTHING


@pytest.mark.parametrize("host", NEIGHBOURS)
def test_addresses_beside_special_networks_are_reachable(host: str) -> None:
    assert STRICT.reach_of(host) is Reach.ALL_PORTS
    assert ip_address(host).is_global


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "9.9.9.1", "8.8.8.8"])
@pytest.mark.parametrize(
    "prefix",
    [
        "::ffff:0:0",
        "::",
        "64:ff9b::",
        "64:ff9b:1::",
        "2001:db8:1::5efe:0:0",
        "2a00:1::5efe:0:0",
        "2a00:1::200:5efe:0:0",
    ],
)
def test_ipv4_address_inside_an_ipv6_one_is_refused_whatever_it_is(prefix: str, inner: str) -> None:
    host = str(IPv6Address(int(IPv6Address(prefix)) + int(ip_address(inner))))

    assert not is_globally_routable(host)


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "8.8.8.8"])
def test_6to4_and_teredo_addresses_are_refused(inner: str) -> None:
    number = int(ip_address(inner))

    assert not is_globally_routable(str(ip_address((0x2002 << 112) + (number << 80) + 1)))
    assert not is_globally_routable(
        str(ip_address((0x2001_0000 << 96) + (number << 64) + (number ^ 0xFFFF_FFFF)))
    )


@pytest.mark.parametrize("host", ["9.9.9.1", "9.9.9.9", "2a00:9::1", "2a00:9::9"])
def test_own_addresses_are_reachable_on_relay_ports_only(host: str) -> None:
    assert STRICT.reach_of(host) is Reach.RELAY_PORTS
    assert not STRICT.permits((host, 50_000), is_live_relay=False)


def test_live_relay_port_of_this_node_is_permitted() -> None:
    assert STRICT.permits(("9.9.9.9", 50_000), is_live_relay=True)


@pytest.mark.parametrize(
    ("port", "is_permitted"), [(0, False), (53, False), (1023, False), (1024, True), (65_535, True)]
)
def test_peers_below_the_lowest_port_are_refused(port: int, is_permitted: bool) -> None:
    assert STRICT.permits(("8.8.8.8", port), is_live_relay=False) is is_permitted


def test_allowed_network_is_reachable_to_its_last_address_and_no_further() -> None:
    policy = PeerPolicy(own=OWN, allow=(ip_network("192.0.2.0/25"), ip_network("fd00::/64")))

    assert policy.permits(("192.0.2.127", 5000), is_live_relay=False)
    assert not policy.permits(("192.0.2.128", 5000), is_live_relay=False)
    assert policy.permits(("fd00::ffff", 5000), is_live_relay=False)
    assert not policy.permits(("fd00:0:0:1::", 5000), is_live_relay=False)
    assert not policy.permits(("::ffff:192.0.2.1", 5000), is_live_relay=False)


def test_own_listening_port_is_refused_even_where_its_network_is_allowed() -> None:
    policy = PeerPolicy(own=OWN, allow=(ip_network("9.9.9.0/24"),))

    assert not policy.permits(("9.9.9.1", 3478), is_live_relay=False)
    assert policy.permits(("9.9.9.1", 3479), is_live_relay=False)
    assert policy.permits(("9.9.9.2", 3478), is_live_relay=False)


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])  # noqa: S104 - what a listener may say, not bound
def test_port_of_a_wildcard_listener_is_refused_everywhere(wildcard: str) -> None:
    own = OwnAddresses(listeners=frozenset({(wildcard, 3478)}), relay_hosts=frozenset())
    policy = PeerPolicy(own=own, allow=(ip_network("127.0.0.0/8"),))

    assert not policy.permits(("127.0.0.1", 3478), is_live_relay=False)
    assert policy.permits(("127.0.0.1", 3479), is_live_relay=False)
