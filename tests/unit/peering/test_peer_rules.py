"""With whom mail is exchanged, where it goes, and what was counted."""

from pathlib import Path

import dns.name
import pytest

from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.peering.errors import NoRouteError, RouteUnknownError
from mailnode.peering.mta_sts import PolicyError, read_record, read_sts_policy
from mailnode.peering.policy import (
    ALL_TRANSPORTS,
    NOT_ALLOWED,
    NOT_OFFERED,
    NOT_THIS_WAY,
    PeerPolicy,
    PeerPolicyHolder,
    find_peer,
    read_policy,
)
from mailnode.peering.replays import REMEMBERED_SECONDS, Replays
from mailnode.peering.resolver import MAX_EXCHANGERS, Resolver, choose_exchangers
from mailnode.peering.routes import Ports, Stop, may_be_dialled, plan_literal, plan_override
from mailnode.peering.traffic import Traffic
from mailnode.peering.upload import judge_answer
from nodelink.contract.federation import (
    EndpointOverride,
    FederationMode,
    FederationRule,
    FederationState,
    PeerTransport,
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_seconds

    def advance(self, seconds: float) -> None:
        self.now_seconds += seconds


HTTPS, HTTP, SMTP = PeerTransport.HTTPS, PeerTransport.HTTP, PeerTransport.SMTP
PORTS = Ports()


def state(**changes: object) -> FederationState:
    return FederationState.model_validate({"is_enabled": True, "mode": "accept"} | changes)


def test_without_a_word_of_the_control_plane_there_are_no_peers() -> None:
    holder = PeerPolicyHolder(read_policy(state()))
    holder.put_in_force(None)
    assert holder.current.explain("example.org") == NOT_OFFERED
    assert holder.current.find_transports("example.org") == frozenset()


def test_accept_lets_all_but_the_named_in_and_reject_the_named_only() -> None:
    rules = [FederationRule(domain="Blocked.Example"), FederationRule(domain="half.example", transport=SMTP)]
    accept = read_policy(state(rules=rules))
    assert accept.explain("blocked.example") == NOT_ALLOWED
    assert accept.find_transports("half.example") == {HTTPS}
    assert accept.find_transports("other.example") == {HTTPS, SMTP}
    reject = read_policy(state(mode=FederationMode.REJECT, rules=rules))
    assert reject.find_transports("blocked.example") == {HTTPS, SMTP}
    assert reject.find_transports("half.example") == {SMTP}
    assert reject.explain("other.example") == NOT_ALLOWED


def test_transports_that_are_off_are_off_for_all() -> None:
    policy = read_policy(state(transports=["http"]))
    assert policy.find_transports("example.org") == {HTTP}
    assert read_policy(state(transports=[])).explain("example.org") == NOT_THIS_WAY


def test_no_rule_stops_a_report() -> None:
    blocked = PeerPolicy(
        is_enabled=True, rules={"far.example": ALL_TRANSPORTS}, transports=frozenset((HTTPS,))
    )
    assert blocked.find_transports("far.example", is_report=True) == {HTTPS}
    assert blocked.explain("far.example", is_report=True) is None
    assert PeerPolicy().explain("far.example", is_report=True) == NOT_OFFERED


def test_an_address_is_one_rule_however_it_is_written() -> None:
    for domain in ("192.0.2.1", "[192.0.2.1]"):
        assert read_policy(state(rules=[FederationRule(domain=domain)])).explain("[192.0.2.1]") == NOT_ALLOWED
    overrides = [EndpointOverride(domain="2001:DB8::1", target="mx.example")]
    assert read_policy(state(overrides=overrides)).overrides == {"[IPv6:2001:db8::1]": "mx.example"}


@pytest.mark.parametrize(
    ("domain", "peer"),
    [
        ("Example.ORG", "example.org"),
        ("_a.example", "_a.example"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("localhost", None),
        ("a..b", None),
        ("", None),
        ("exämple.org", None),
    ],
)
def test_what_a_peer_can_be(domain: str, peer: str | None) -> None:
    assert find_peer(domain) == peer


@pytest.mark.parametrize(
    ("target", "stops"),
    [
        ("mx.example", [(HTTPS, "mx.example", 443, "/mxdeliv"), (SMTP, "mx.example", 25, "/mxdeliv")]),
        ("mx.example:8443", [(HTTPS, "mx.example", 8443, "/mxdeliv"), (SMTP, "mx.example", 25, "/mxdeliv")]),
        ("https://mx.example", [(HTTPS, "mx.example", 443, "/mxdeliv")]),
        ("http://192.0.2.1:19080/in?x=1", [(HTTP, "192.0.2.1", 19080, "/in?x=1")]),
        ("smtp://mx.example:2525", [(SMTP, "mx.example", 2525, "/mxdeliv")]),
    ],
)
def test_an_endpoint_is_a_host_a_port_or_a_url(
    target: str, stops: list[tuple[PeerTransport, str, int, str]]
) -> None:
    planned = plan_override(target, {HTTPS, SMTP}, PORTS)
    assert [(stop.transport, stop.host, stop.port, stop.path) for stop in planned] == stops


@pytest.mark.parametrize(
    "target",
    ["", "a b", "mx.example:0", "mx.example:65536", "ftp://x", "https://", "https://a:b@c", "https://x:y"],
)
def test_what_is_no_endpoint_is_no_route(target: str) -> None:
    with pytest.raises(NoRouteError):
        plan_override(target, {HTTPS}, PORTS)


def test_nobody_vouches_for_an_address_or_for_an_underscore() -> None:
    assert plan_literal("[IPv6:2001:db8::1]", {SMTP}, PORTS) == [
        Stop(SMTP, "2001:db8::1", 25, is_verified=False)
    ]
    assert not plan_override("_mx.example", {HTTPS}, PORTS)[0].is_verified
    assert plan_override("mx.example", {HTTPS}, PORTS)[0].is_verified


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("192.0.2.1", True),
        ("10.0.0.1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address, not a listener
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("fe80::1", False),
        ("2001:db8::1", True),
    ],
)
def test_an_mx_record_leads_to_nothing_of_this_host(address: str, is_allowed: bool) -> None:
    assert may_be_dialled(address, allows_loopback=False) is is_allowed


def test_exchangers_come_by_preference_and_the_root_is_none() -> None:
    names = [dns.name.from_text(f"mx{number}.example") for number in range(12)]
    records = [(20, names[0]), (10, names[1]), (10, names[2]), (10, names[1])]
    draws = iter((0.0, 0.9, 0.1, 0.5))
    assert choose_exchangers(records, lambda: next(draws)) == ("mx2.example", "mx1.example", "mx0.example")
    assert len(choose_exchangers([(1, name) for name in names], lambda: 0.0)) == MAX_EXCHANGERS
    with pytest.raises(NoRouteError, match="556"):
        choose_exchangers([(0, dns.name.root)], lambda: 0.0)


STS = b"version: STSv1\nmode: enforce\nmx: mx.example\nmx: *.pool.example\nmax_age: 100\n"


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mx.example", True),
        ("MX.example.", True),
        ("a.pool.example", True),
        ("a.b.pool.example", False),
        ("pool.example", False),
        ("other.example", False),
    ],
)
def test_a_pattern_stands_for_one_label(host: str, is_allowed: bool) -> None:
    assert read_sts_policy(STS).allows(host) is is_allowed
    assert read_sts_policy(STS.replace(b"enforce", b"testing")).allows(host)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        STS.replace(b"STSv1", b"STSv2"),
        STS.replace(b"enforce", b"maybe"),
        STS.replace(b"100", b"x"),
        STS.replace(b"mx.example", b"mx example"),
        STS.replace(b"mx:", b"ms:"),
        b"\xff" + STS,
    ],
)
def test_what_is_no_policy_of_mta_sts_is_refused(content: bytes) -> None:
    with pytest.raises(PolicyError):
        read_sts_policy(content)


def test_two_records_of_mta_sts_are_none() -> None:
    record = b"v=STSv1; id=20261129;"
    assert read_record([record, b"v=spf1 -all"]) == "20261129"
    assert read_record([record, record]) is None
    assert read_record([b"v=STSv1; id=a-b"]) is None


def test_replays_are_told_by_source_and_forgotten_after_three_days() -> None:
    clock = Clock()
    replays = Replays(clock_seconds=clock, max_remembered=2)
    assert replays.admit(b"1", "192.0.2.1", ["bob"])
    assert replays.admit(b"1", "192.0.2.1", ["carol"])
    assert replays.admit(b"1", "2001:db8::/56", ["dave"])  # the other family, for the first time
    assert not replays.admit(b"1", "2001:db8:1::/56", ["eve"])
    assert not replays.admit(b"1", "192.0.2.2", ["bob", "eve"])
    assert replays.admit(b"1", "192.0.2.2", ["bob", "carol"])
    clock.advance(REMEMBERED_SECONDS)
    assert replays.admit(b"1", "192.0.2.2", ["eve"])
    for signature in (b"2", b"3"):
        replays.admit(signature, "192.0.2.1", ["bob"])
    assert replays.admit(b"1", "192.0.2.9", ["frank"])


def test_what_an_exchanger_brings_may_come_from_its_server_too() -> None:
    replays = Replays()
    assert replays.admit(b"1", "2001:db8::/56", ["bob"])
    assert replays.admit(b"1", "https://relay.example.org:8443", ["carol"])
    assert replays.admit(b"1", "https://192.0.2.7:8443", ["dave"])
    assert not replays.admit(b"1", "2001:db8:1::/56", ["eve"])


@pytest.mark.parametrize(("count", "is_remembered"), [(2, True), (3, False)])
def test_a_network_makes_only_its_own_mail_forgotten(count: int, is_remembered: bool) -> None:
    replays = Replays(max_remembered=9, max_of_network=3)
    replays.admit(b"of another", "198.51.100.1", ["bob"])
    replays.admit(b"first", "192.0.2.1", ["bob"])
    for number in range(count):
        replays.admit(b"%d" % number, f"192.0.2.{number + 1}", ["bob"])
    assert replays.admit(b"first", "203.0.113.1", ["eve"]) is not is_remembered
    for number in range(100):
        replays.admit(b"%d" % number, f"192.0.2.{number + 1}", ["bob"])
    assert not replays.admit(b"of another", "203.0.113.1", ["eve"])


@pytest.mark.parametrize(
    ("status", "content", "outcome"),
    [
        (200, b"OK", Delivered()),
        (202, b'{"refused": {"a@b": "no"}}', Delivered({"a@b": "no"})),
        (400, b"No DKIM signature found", Refused("400 No DKIM signature found")),
        (404, b"No such user here", Refused("404 No such user here")),
        (404, b"<html>", Failed("404 <html>", is_of_node=False)),
        (405, b"", Failed("405", is_of_node=False)),
        (301, b"", Failed("301", is_of_node=False)),
        (503, b"x", Failed("503 x", is_of_node=False)),
        (507, b"quota", Refused("507 quota")),
    ],
)
def test_answers_to_uploads_are_told_apart(status: int, content: bytes, outcome: Outcome) -> None:
    assert judge_answer(status, content) == outcome


def test_the_table_forgets_who_was_idle_longest_and_counts_everything() -> None:
    clock = Clock()
    traffic = Traffic(clock_seconds=clock, max_peers=2)
    traffic.note_received("a.example")
    traffic.note_delivered("b.example", HTTPS, 2.0)
    traffic.note_delivered("b.example", SMTP, 12.0)
    traffic.note_failed("c.example", SMTP, "x" * 1_000)
    answer = traffic.list_peers(5)
    assert [peer.domain for peer in answer.peers] == ["c.example", "b.example"]
    assert answer.peers[1].mean_latency_seconds == pytest.approx(3.0)
    assert len(traffic.list_peers(1).peers) == 1
    figures = traffic.read_figures()
    assert (figures["peer_received"], figures["peer_delivered_smtp"], figures["peer_failed_smtp"]) == (
        1,
        1,
        1,
    )


def test_a_policy_is_off_until_it_is_enabled() -> None:
    assert PeerPolicy().explain("example.org") == NOT_OFFERED


@pytest.mark.anyio
@pytest.mark.parametrize("content", [None, "", "search example.org\n"])
async def test_host_without_name_servers_knows_no_names_yet(tmp_path: Path, content: str | None) -> None:
    configuration = tmp_path / "resolv.conf"
    if content is not None:
        configuration.write_text(content)
    resolver = Resolver(host_configuration=configuration)

    with pytest.raises(RouteUnknownError, match="DNS"):
        await resolver.find_exchangers("far.example.org")
    with pytest.raises(RouteUnknownError, match="DNS"):
        await resolver.find_addresses("far.example.org")
