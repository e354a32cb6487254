"""Which client a request is of, behind proxies or not."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.client_address import find_client, name_client

PROXIES = (ip_network("192.0.2.0/28"), ip_network("2001:db8:1::/64"))
addresses = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "198.51.100.1,203.0.113.9 , 192.0.2.2", "203.0.113.9"),
        ("192.0.2.1", "192.0.2.3, 192.0.2.2", "192.0.2.3"),
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9, nonsense", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9, nonsense, 192.0.2.2", "192.0.2.2"),
        ("192.0.2.1", "unknown", "192.0.2.1"),
        ("192.0.2.16", "203.0.113.9", "192.0.2.16"),
        ("::ffff:192.0.2.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1::5", "2001:db8:2::1", "2001:db8:2::1"),
        ("192.0.2.1", "203.0.113.9:4711", "203.0.113.9"),
        ("192.0.2.1", "[2001:db8:2::1]:4711", "2001:db8:2::1"),
        ("192.0.2.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("testclient", "203.0.113.9", "testclient"),
        ("", "", ""),
    ],
)
def test_client_is_the_nearest_that_is_no_proxy_of_ours(peer: str, forwarded_for: str, client: str) -> None:
    assert find_client(peer, forwarded_for, PROXIES) == client


@given(st.lists(addresses), addresses)
def test_nobody_chooses_what_he_is_counted_as(made_up: list[str], client: str) -> None:
    seen = find_client("192.0.2.1", ", ".join([*made_up, "203.0.113.9"]), PROXIES)

    assert seen == "203.0.113.9"
    assert find_client("203.0.113.9", ", ".join([*made_up, client]), PROXIES) == "203.0.113.9"


@given(st.text(), st.text())
def test_any_header_is_read(peer: str, forwarded_for: str) -> None:
    assert isinstance(name_client(find_client(peer, forwarded_for, PROXIES)), str)
    assert isinstance(find_client("192.0.2.1", forwarded_for, PROXIES), str)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
    ],
)
def test_client_is_an_address_or_a_network_of_ipv6(address: str, client: str) -> None:
    assert name_client(address) == client
