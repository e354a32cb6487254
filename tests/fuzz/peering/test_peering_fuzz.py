"""What others say of themselves, in whatever bytes: understood, or refused."""

import contextlib
from email import message_from_bytes

import dns.name
from hypothesis import given
from hypothesis import strategies as st

from mailnode.encryption.gate import check_incoming
from mailnode.federation.delivery import tidy_reason
from mailnode.federation.errors import MalformedDeliveryError
from mailnode.peering.errors import NoRouteError
from mailnode.peering.http_entry import read_arrival
from mailnode.peering.mta_sts import PolicyError, read_record, read_sts_policy
from mailnode.peering.policy import find_peer
from mailnode.peering.reception import clean_trace
from mailnode.peering.resolver import MAX_EXCHANGERS, choose_exchangers
from mailnode.peering.routes import Ports, plan_override
from mailnode.peering.sts_memory import read_memory, write_memory
from mailnode.peering.upload import judge_answer
from mailnode.smtp.delivery_report import write_report
from nodelink.contract.federation import PeerTransport

labels = st.binary(min_size=1, max_size=20)
hosts = st.lists(labels, max_size=4).map(lambda parts: dns.name.Name([*parts, b""]))
LINES = st.sampled_from(
    [
        b"version: STSv1",
        b"mode: enforce",
        b"mode: none",
        b"mx: a.example",
        b"mx: *.b.example",
        b"max_age: 1",
        b"\r\n",
        b"\n",
        b":",
        b"mx:",
        b"\xff",
        b"v=STSv1; id=",
        b"1",
        b";",
    ]
)


@given(st.lists(LINES | st.binary(max_size=10), max_size=12).map(b"\n".join))
def test_any_policy_of_mta_sts_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(PolicyError):
        assert read_sts_policy(content).allows("a.example") in (True, False)
    read_record([content, content.replace(b"\n", b"")])


@given(st.lists(st.tuples(st.integers(0, 65_535), hosts), min_size=1, max_size=15), st.floats(0, 1))
def test_any_exchangers_are_put_in_order(records: list[tuple[int, dns.name.Name]], draw: float) -> None:
    with contextlib.suppress(NoRouteError):
        chosen = choose_exchangers(records, lambda: draw)
        assert len(chosen) == len(set(chosen)) <= MAX_EXCHANGERS
        assert "." not in chosen
        assert "" not in chosen


@given(st.text(max_size=60))
def test_any_endpoint_and_domain_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(NoRouteError):
        for stop in plan_override(text, frozenset(PeerTransport), Ports()):
            assert 0 <= stop.port < 65_536
            assert stop.host
    find_peer(text)


@given(
    st.lists(
        st.tuples(st.sampled_from(["x-mail-from", "x-mail-to", "other"]), st.text(max_size=30)), max_size=8
    )
)
def test_any_headers_are_an_arrival_or_refused(headers: list[tuple[str, str]]) -> None:
    with contextlib.suppress(MalformedDeliveryError):
        arrival = read_arrival(headers, "192.0.2.1", PeerTransport.HTTPS)
        assert arrival.recipients


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_answer_is_an_outcome_that_can_be_shown(status: int, content: bytes) -> None:
    reason = getattr(judge_answer(status, content), "reason", "")
    assert reason.isascii()
    assert reason.isprintable()


@given(st.binary(max_size=300), st.text(max_size=400))
def test_any_report_passes_the_gate_and_names_the_reason(message: bytes, text: str) -> None:
    reason = tidy_reason(text)
    report = write_report(
        domain="home.example",
        sender="eve@far.example",
        refused={"bob@home.example": reason},
        message=message,
        now_seconds=0,
    )
    check_incoming(report)
    parts = {part.get_content_type(): part for part in message_from_bytes(report).walk()}
    assert {"multipart/report", "message/delivery-status", "text/rfc822-headers"} <= set(parts)
    assert "Final-Recipient: rfc822; bob@home.example" in str(parts["message/delivery-status"])


@given(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"Received: a", b" b", b"From: c", b"DKIM-Signature: d"])),
)
def test_cleaning_leaves_the_text_and_every_other_field(text: bytes, lines: list[bytes]) -> None:
    message = b"\r\n".join([*lines, b"X: y", b"", text])
    cleaned = clean_trace(message)
    assert cleaned.endswith(b"\r\n\r\n" + text)
    header = cleaned.partition(b"\r\n\r\n")[0]
    assert header.count(b"From: c") == lines.count(b"From: c")
    assert b"Received:" not in header


@given(st.binary(max_size=200) | st.lists(LINES).map(b"".join))
def test_any_memory_of_policies_is_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        known = read_memory(content)
        assert read_memory(write_memory(known)) == known
