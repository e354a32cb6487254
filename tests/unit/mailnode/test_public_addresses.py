"""By which addresses a mail node says that it is reached, and its MTA-STS policy."""

import socket

import pytest

from mailnode.peering.mta_sts import Mode, read_record, read_sts_policy
from mailnode.public_addresses import find_route_source, list_public_addresses
from nodelink.contract.mta_sts import choose_exchange, write_sts_id, write_sts_policy

SOURCES = {socket.AF_INET: "192.0.2.7", socket.AF_INET6: "2001:db8::7"}


@pytest.mark.parametrize(
    ("published", "bound", "expected"),
    [
        ((), ("0.0.0.0", "::"), ("192.0.2.7", "2001:db8::7")),  # noqa: S104 - nothing is bound
        (("198.51.100.1", "2001:DB8:0::1"), ("0.0.0.0",), ("198.51.100.1", "2001:db8::1")),  # noqa: S104 - as above
        ((), ("192.0.2.3", "192.0.2.3", "127.0.0.1", "fe80::1"), ("192.0.2.3",)),
        ((), ("::1",), ()),
    ],
)
def test_others_are_told_what_reaches_the_host(
    published: tuple[str, ...], bound: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert list_public_addresses(published, bound, SOURCES.get) == expected


def test_host_without_a_route_tells_none() -> None:
    assert list_public_addresses((), ("0.0.0.0", "::"), lambda _: None) == ()  # noqa: S104 - nothing is bound


def test_asking_for_the_route_answers_an_address_or_none() -> None:
    for family in SOURCES:
        source = find_route_source(family)
        assert source is None or socket.inet_pton(family, source.partition("%")[0])


@pytest.mark.parametrize(
    ("host", "exchange"),
    [
        ("mx.example.org", "mx.example.org"),
        ("192.0.2.1", "example.org"),
        ("2001:db8::1", "example.org"),
        ("1.example.org", "1.example.org"),
    ],
)
def test_mail_goes_to_the_name_of_the_host(host: str, exchange: str) -> None:
    assert choose_exchange("example.org", host) == exchange


def test_own_policy_is_one_by_the_rules_for_others() -> None:
    policy = read_sts_policy(write_sts_policy("mx.example.org").encode())

    assert policy.mode is Mode.ENFORCE
    assert policy.allows("mx.example.org")
    assert not policy.allows("other.example.org")
    assert read_record([f"v=STSv1; id={write_sts_id('mx.example.org')}".encode()]) == write_sts_id(
        "mx.example.org"
    )
    assert write_sts_id("mx.example.org") != write_sts_id("mx2.example.org")
