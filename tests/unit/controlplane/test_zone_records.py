"""Which records a fleet needs, and how they compare with those that are published."""

import dns.rdata
import pytest

from controlplane.client.zone_comparison import Action, compare, read_value
from controlplane.zone.authorities import KNOWN_AUTHORITIES, find_authority
from controlplane.zone.models import Purpose, RecordType, ZoneRecord
from controlplane.zone.records import (
    MailPlace,
    TurnPlace,
    drop_repeated,
    is_address,
    is_name,
    is_reached_everywhere,
    list_mail_records,
    list_retired_names,
    list_turn_records,
)
from controlplane.zone.zone_file import write_text_value
from nodelink.contract.federation import DkimKey, DkimStage
from nodelink.contract.ports import PortName

DOMAIN, HOST = "example.org", "mx.example.net"


def place(**changes: object) -> MailPlace:
    fields: dict[str, object] = {
        "node": "mail1",
        "mail_domain": DOMAIN,
        "host": DOMAIN,
        "addresses": ("192.0.2.1", "2001:db8::1"),
        "ports": {PortName.IMAP_TLS: 993},
        "is_self_signed": False,
        "dkim_keys": (),
    }
    return MailPlace(**(fields | changes))  # type: ignore[arg-type] # fields of many types


def keys(*selectors: str) -> tuple[DkimKey, ...]:
    return tuple(DkimKey(selector=each, stage=DkimStage.CURRENT, record="v=DKIM1; p=x") for each in selectors)


def values(records: list[ZoneRecord]) -> set[tuple[str, str, str]]:
    return {(record.name, record.type, record.value) for record in records}


def text(value: str, name: str = f"{DOMAIN}.") -> ZoneRecord:
    return record(RecordType.TXT, write_text_value(value), name)


def record(kind: RecordType, value: str, name: str = f"{DOMAIN}.") -> ZoneRecord:
    return ZoneRecord(name=name, type=kind, ttl_seconds=60, value=value, domain=DOMAIN, purpose=Purpose.NODE)


def difference(needed: ZoneRecord, *published: str) -> list[tuple[Action, str]]:
    found = {(needed.name, needed.type): [read_value(needed.type, each) for each in published]}
    return [(each.action, each.value) for each in compare([needed], [], found)]


@pytest.mark.parametrize(
    ("chosen", "issuer", "authority"),
    [
        (None, None, "letsencrypt.org"),
        (None, "Let's Encrypt", "letsencrypt.org"),
        (None, "(STAGING) Let's Encrypt", None),
        (None, "DigiCert Inc", "digicert.com"),
        (None, "An authority of our own", None),
        (None, "", None),
        ("ca.example", "Let's Encrypt", "ca.example"),
        ("ca.example", None, "ca.example"),
        ("none", "Let's Encrypt", None),
        ("none", None, None),
    ],
)
def test_whoever_has_certified_a_name_may_do_so_again(
    chosen: str | None, issuer: str | None, authority: str | None
) -> None:
    assert find_authority(chosen, issuer) == authority


@pytest.mark.parametrize("authority", KNOWN_AUTHORITIES.values())
def test_known_authorities_are_names(authority: str) -> None:
    assert is_name(authority)


def test_node_behind_another_name_has_addresses_by_both() -> None:
    found = values(list_mail_records(place(host=HOST), "ca.example"))

    for name in (f"{DOMAIN}.", f"{HOST}."):
        assert {(name, "A", "192.0.2.1"), (name, "AAAA", "2001:db8::1")} <= found
        assert (name, "CAA", '0 issue "ca.example"') in found
    assert (f"{DOMAIN}.", "MX", f"10 {HOST}.") in found
    assert (f"{DOMAIN}.", "TXT", f'"v=spf1 a:{HOST} ~all"') in found
    assert (f"_imaps._tcp.{DOMAIN}.", "SRV", f"0 1 993 {HOST}.") in found


def test_host_under_the_domain_needs_no_word_of_its_own_about_certificates() -> None:
    found = values(list_mail_records(place(host=f"mx.{DOMAIN}"), "ca.example"))

    assert {name for name, kind, _ in found if kind == "CAA"} == {f"{DOMAIN}."}


def test_node_that_clients_reach_by_address_is_its_own_exchange() -> None:
    found = values(list_mail_records(place(host="192.0.2.1"), None))

    assert (f"{DOMAIN}.", "MX", f"10 {DOMAIN}.") in found
    assert "CAA" not in {kind for _, kind, _ in found}


def test_certificate_of_its_own_making_promises_nothing() -> None:
    names = {name for name, _, _ in values(list_mail_records(place(is_self_signed=True), "ca.example"))}

    assert names == {f"{DOMAIN}.", f"_dmarc.{DOMAIN}.", f"_imaps._tcp.{DOMAIN}."}


@pytest.mark.parametrize(
    ("selectors", "retired"),
    [
        (("rsa1", "ed1"), []),
        (("rsa2",), ["rsa1"]),
        (("rsa9", "rsa8"), ["rsa5", "rsa6", "rsa7"]),
        (("selector",), []),
    ],
)
def test_keys_before_the_live_ones_are_retired(selectors: tuple[str, ...], retired: list[str]) -> None:
    found = list_retired_names(place(dkim_keys=keys(*selectors)))

    assert found == [f"{name}._domainkey.{DOMAIN}." for name in retired]


def test_turn_nodes_have_the_common_name_and_their_own() -> None:
    places = [TurnPlace("turn1", "turn1.example.org", ("192.0.2.8",)), TurnPlace("turn2", "192.0.2.9", ())]

    found = list_turn_records("turn.example.org", ["192.0.2.8"], places, None)

    assert [(each.name, each.ttl_seconds, each.value) for each in found] == [
        ("turn.example.org.", 60, "192.0.2.8"),
        ("turn1.example.org.", 3600, "192.0.2.8"),
    ]
    assert list_turn_records("192.0.2.8", ["192.0.2.8"], [], "ca.example") == []
    assert list_turn_records(None, [], [], None) == []


def test_same_record_of_two_nodes_is_there_once() -> None:
    assert drop_repeated([text("a"), text("b"), text("a")]) == [text("a"), text("b")]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("example.org", True),
        ("_mail1.example.org", True),
        ("localhost", False),
        ("192.0.2.1", False),
        ("example.org.", False),
        ("ex ample.org", False),
        ("example.org\n", False),
        (f"{'a' * 63}.org", True),
        (f"{'a' * 64}.org", False),
        ("".join(["a."] * 126) + "b", True),
        ("".join(["a."] * 127) + "b", False),
    ],
)
def test_names_are_told_from_what_is_none(name: str, *, is_one: bool) -> None:
    assert is_name(name) is is_one


def test_addresses_are_told_from_what_is_none() -> None:
    assert all(map(is_address, ["192.0.2.1", "2001:db8::1"]))
    assert not any(map(is_address, ["", "fe80::1%eth0", "192.0.2.1\nx", "example.org"]))
    assert all(map(is_reached_everywhere, ["192.0.2.1", "11.0.0.0", "172.32.0.1", "2001:db8::1"]))
    assert not any(map(is_reached_everywhere, ["10.0.0.1", "172.31.0.1", "192.168.1.1", "fd00::1", "::1"]))


@pytest.mark.parametrize(
    ("needed", "published"),
    [
        (record(RecordType.A, "192.0.2.1"), "192.0.2.1"),
        (record(RecordType.AAAA, "2001:db8::1"), "2001:DB8:0::1"),
        (record(RecordType.MX, "10 mx.example.net."), "10 MX.example.net."),
        (text("v=spf1 a ~all"), '"v=spf1 a mx -all"'),
        (text("v=DMARC1;p=reject;adkim=s"), '"v=DMARC1; p=reject; adkim=s; rua=mailto:a@example.org"'),
        (text("v=STSv1; id=a"), '"v=STSv1;id=a;"'),
        (text("v=DKIM1; k=rsa; p=abc", f"s._domainkey.{DOMAIN}."), '"p=ab" "c"'),
    ],
)
def test_what_says_the_same_in_other_words_stays(needed: ZoneRecord, published: str) -> None:
    assert difference(needed, published) == []


@pytest.mark.parametrize(
    ("needed", "published"),
    [
        (record(RecordType.A, "192.0.2.1"), "192.0.2.2"),
        (record(RecordType.MX, "10 mx.example.net."), "20 mx.example.net."),
        (text("v=spf1 a ~all"), '"v=spf1 mx -all"'),
        (text("v=DMARC1;p=reject"), '"v=DMARC1;p=none"'),
        (text("v=STSv1; id=a"), '"v=STSv1; id=b"'),
        (text("v=DKIM1; k=rsa; p=abc", f"s._domainkey.{DOMAIN}."), '"v=DKIM1; p=abd"'),
        (text("v=DKIM1; k=ed25519; p=abc", f"s._domainkey.{DOMAIN}."), '"v=DKIM1; p=abc"'),
    ],
)
def test_what_says_something_else_is_replaced(needed: ZoneRecord, published: str) -> None:
    assert difference(needed, published) == [(Action.REMOVE, published), (Action.ADD, needed.value)]


def test_records_about_other_things_are_the_operators_own() -> None:
    assert difference(text("v=spf1 a ~all"), '"site-verification=1"', '"v=spf1 a ~all"') == []
    caa = record(RecordType.CAA, '0 issue "a.example"')
    assert difference(caa, '0 issue "b.example"') == [(Action.ADD, caa.value)]


def test_key_that_is_no_more_is_removed() -> None:
    name = f"rsa1._domainkey.{DOMAIN}."
    published: dict[tuple[str, RecordType], list[dns.rdata.Rdata]] = {
        (name, RecordType.TXT): [read_value(RecordType.TXT, '"p=x"')]
    }

    found = compare([], [name], published)

    assert [(each.action, each.name, each.value) for each in found] == [(Action.REMOVE, name, '"p=x"')]
    assert compare([], [name], {}) == []
