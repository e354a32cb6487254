"""What is worth a message, when it is over, how it is signed and where it may go."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.nodes.models import Health, NodePublic
from controlplane.webhooks.alarms import (
    CLEAR_SECONDS,
    DOWN_SECONDS,
    Alarm,
    Limits,
    Told,
    compare,
    find_alarms,
)
from controlplane.webhooks.errors import BadWebhookUrlError
from controlplane.webhooks.models import EventName
from controlplane.webhooks.places import choose_address, read_target
from controlplane.webhooks.signing import invent_secret, write_headers
from nodelink.contract.reports import ProbeReport
from nodelink.contract.states import NodeKind
from support.controlplane_site import NOW, make_report

LIMITS = Limits((), burst_accounts=100, disk_percent=90)
PRIVATE = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
DOWN = (EventName.NODE_DOWN, "mail1")


def node(
    name: str, kind: NodeKind = NodeKind.MAIL, age_seconds: int | None = 0, **report: object
) -> NodePublic:
    return NodePublic(
        name=name,
        kind=kind,
        public_key="x",
        enrolled_at_seconds=0,
        revision=1,
        weight=100,
        label="",
        is_draining=False,
        group=None,
        health=Health.OK,
        is_connected=age_seconds is not None and age_seconds < DOWN_SECONDS,
        applied_revision=1,
        report_age_seconds=age_seconds,
        report=None if age_seconds is None else make_report(kind, **report),
    )


def events(*nodes: NodePublic, accounts: float = 0, limits: Limits = LIMITS) -> list[tuple[EventName, str]]:
    return [(alarm.event, alarm.subject) for alarm in find_alarms(nodes, accounts, limits)]


@pytest.mark.parametrize(
    ("age_seconds", "is_down"),
    [(None, False), (DOWN_SECONDS - 1, False), (DOWN_SECONDS, True), (DOWN_SECONDS + 1, True)],
)
def test_node_is_down_after_a_minute(age_seconds: int | None, is_down: bool) -> None:
    assert events(node("mail1", age_seconds=age_seconds)) == ([DOWN] if is_down else [])


@pytest.mark.parametrize(("free_bytes", "is_told"), [(11, False), (10, True), (9, True)])
def test_full_disk_is_told_from_the_limit_on(free_bytes: int, is_told: bool) -> None:
    figures = {"disk_bytes": 100.0, "disk_free_bytes": float(free_bytes)}

    assert events(node("mail1", figures=figures)) == ([(EventName.DISK_FULL, "mail1")] if is_told else [])


@pytest.mark.parametrize(("accounts", "is_told"), [(0, False), (1, True)])
def test_accounts_near_their_quota_are_told(accounts: int, is_told: bool) -> None:
    figures = {"accounts_near_quota": float(accounts)}

    assert events(node("mail1", figures=figures)) == ([(EventName.QUOTA, "mail1")] if is_told else [])


@pytest.mark.parametrize(("accounts", "is_told"), [(99, False), (100, True), (101, True)])
def test_burst_of_registrations_is_told_from_the_limit_on(accounts: int, is_told: bool) -> None:
    assert events(accounts=accounts) == ([(EventName.REGISTRATION_BURST, "")] if is_told else [])


def test_failing_call_probes_are_one_message_for_the_peer() -> None:
    probes = (
        ProbeReport(peer="turn3", at_seconds=NOW, seconds=None, problem="No answer."),
        ProbeReport(peer="turn4", at_seconds=NOW, seconds=0.1, problem=None),
    )
    nodes = [node(name, NodeKind.TURN, probes=probes) for name in ("turn1", "turn2")]

    (alarm,) = find_alarms(nodes, 0, LIMITS)

    assert (alarm.event, alarm.subject) == (EventName.CALL_PROBE_FAILING, "turn3")
    assert "turn1: No answer." in alarm.text
    assert events(node("mail1", probes=probes)) == []  # that is no call


def test_only_events_that_are_wanted_are_told() -> None:
    wanted = Limits((EventName.REGISTRATION_BURST,), 100, 90)

    assert events(node("mail1", age_seconds=99), accounts=100, limits=wanted) == [
        (EventName.REGISTRATION_BURST, "")
    ]


def test_what_comes_and_goes_is_told_once_and_over_when_it_stays_away() -> None:
    alarm = Alarm(*DOWN, "text")
    told: dict[tuple[EventName, str], Told] = {}
    messages: list[tuple[int, str]] = []
    for now in range(0, 2 * CLEAR_SECONDS + 100, 10):
        is_down = now < 200 and now % 20 == 0  # it flaps for 200 s
        changes = compare([alarm] if is_down else [], told, now)
        for _ in changes.raised:
            told[DOWN] = Told(None)
            messages.append((now, "raised"))
        told |= dict.fromkeys(changes.again, Told(None)) | dict.fromkeys(changes.cleared, Told(now))
        for key in changes.resolved:
            del told[key]
            messages.append((now, "resolved"))

    assert messages == [(0, "raised"), (190 + CLEAR_SECONDS, "resolved")]


def test_message_is_signed_as_receivers_check_it() -> None:
    secret = invent_secret()

    headers = write_headers(secret, "msg_1", 1234, b'{"type": "test"}')

    key = b64decode(secret.removeprefix("whsec_"))
    expected = hmac.new(key, b'msg_1.1234.{"type": "test"}', sha256).digest()
    assert headers["webhook-signature"] == f"v1,{b64encode(expected).decode()}"
    assert (headers["webhook-id"], headers["webhook-timestamp"], len(key)) == ("msg_1", "1234", 32)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://",
        "https://name:password@example.org/",
        "https://example.org:99999/",
        "ftp://example.org/",
        "https://[::1/",
    ],
)
def test_url_that_leads_nowhere_or_is_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(BadWebhookUrlError):
        read_target(url, ())


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["127.0.0.1"], None),
        (["169.254.169.254", "192.168.1.1", "fe80::1", "fd00::1", "224.0.0.1", "0.0.0.1"], None),
        (["::ffff:127.0.0.1"], None),
        (["::ffff:10.1.2.3"], "10.1.2.3"),
        (["192.168.1.1", "10.1.2.3"], "10.1.2.3"),
        (["127.0.0.1", "9.9.9.9"], "9.9.9.9"),
        (["2620:fe::fe"], "2620:fe::fe"),
        ([], None),
    ],
)
def test_only_public_addresses_and_named_networks_are_reached(found: list[str], chosen: str | None) -> None:
    address = choose_address(read_target("https://example.org/hook?a=b", PRIVATE), found, PRIVATE)

    assert (None if address is None else str(address)) == chosen


def test_message_in_the_clear_goes_to_named_networks_only() -> None:
    target = read_target("http://example.org:8080", PRIVATE)

    assert choose_address(target, ["9.9.9.9"], PRIVATE) is None
    assert choose_address(target, ["9.9.9.9", "10.0.0.1"], PRIVATE) == ip_address("10.0.0.1")
    assert (target.port, target.path, target.authority) == (8080, "/", "example.org:8080")


@given(st.ip_addresses())
def test_without_named_networks_no_private_address_is_reached(address: object) -> None:
    chosen = choose_address(read_target("https://example.org/", ()), [str(address)], ())

    assert chosen is None or (chosen.is_global and not chosen.is_multicast)
