"""Whatever comes to an exchanger is read, or refused as it should be."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mailnode.exchange.domains import plan_stops, read_forwarded, read_kept
from mailnode.exchange.errors import BadAcknowledgementError
from mailnode.exchange.hops import read_hops
from mailnode.exchange.pickup import choose_batch, read_acknowledgement, write_head
from mailnode.exchange.tokens import DIGEST, TokenBook, read_token
from mailnode.exchange.waiting_store import WaitingId
from mailnode.federation.errors import MalformedDeliveryError
from mailnode.peering.policy import find_peer
from mailnode.peering.waiting_mail import MAX_MESSAGES, read_waiting
from mailnode.store.mail_store import BodyId, Envelope, Outgoing, OutgoingId

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
SETTINGS = st.text(alphabet="ab.example=[]:/,@https192 \u00e9", max_size=60) | st.text(max_size=40)


@given(st.binary(max_size=200))
def test_any_bytes_acknowledge_or_are_refused(content: bytes) -> None:
    with suppress(BadAcknowledgementError):
        assert isinstance(read_acknowledgement(content), list)


@given(JSON | st.fixed_dictionaries({"ids": JSON | st.lists(st.text(max_size=30), max_size=5)}))
def test_any_json_acknowledges_or_is_refused(document: object) -> None:
    with suppress(BadAcknowledgementError):
        found = read_acknowledgement(json.dumps(document).encode())
        assert len(found) <= MAX_MESSAGES
        assert all(each.number >= 0 and each.secret for each in found)


@given(st.integers(0, 10**18 - 1), st.text(alphabet="azAZ09_-.", min_size=1, max_size=40))
def test_id_is_read_back(number: int, secret: str) -> None:
    id_ = WaitingId(OutgoingId(number), secret)

    assert WaitingId.read(str(id_)) == id_
    assert read_acknowledgement(json.dumps({"ids": [str(id_)]}).encode()) == [id_]


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{0,25}-.*", fullmatch=True))
def test_id_that_is_none_finds_nothing_or_a_number_that_fits(text: str) -> None:
    found = WaitingId.read(text)
    assert found is None or found.number < 10**18


@given(st.text(max_size=60) | st.from_regex(r"(?i)(basic|bearer) [A-Za-z0-9+/=:]{0,40}", fullmatch=True))
def test_any_header_shows_a_token_or_none(header: str) -> None:
    token = read_token(header)
    assert token is None or token
    assert not TokenBook({"a.example": ["0" * 64]}).find_domains(token)


@given(st.none() | st.text(max_size=3))
def test_any_hops_are_a_digit_or_refused(value: str | None) -> None:
    with suppress(MalformedDeliveryError):
        assert 0 <= read_hops(value) <= 9


@given(SETTINGS)
def test_any_list_of_domains_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        forwarded = read_forwarded(text)
        assert all(find_peer(domain) == domain for domain in forwarded)
        assert plan_stops(forwarded).keys() == forwarded.keys()
    with suppress(ValueError):
        kept = read_kept(text)
        assert all(DIGEST.fullmatch(digest) for digests in kept.values() for digest in digests)


@given(
    st.lists(st.integers(0, 50), max_size=8),
    st.integers(1, 8),
    st.integers(1, 100),
    st.text(max_size=20),
    st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3),
)
def test_answer_is_what_a_node_reads(
    sizes: list[int], max_messages: int, max_bytes: int, sender: str, recipients: list[str]
) -> None:
    rows = [
        Outgoing(
            OutgoingId(n),
            Envelope(f"x.{n}", "a.example", sender, tuple(recipients)),
            BodyId(n),
            size,
            0,
            0,
            0,
        )
        for n, size in enumerate(sizes)
    ]

    chosen = choose_batch(rows, max_messages, max_bytes)

    assert chosen == rows[: len(chosen)]
    assert bool(chosen) == bool(rows)
    assert len(chosen) <= max_messages
    assert len(chosen) == 1 or sum(row.size_bytes for row in chosen) <= max_bytes
    for row in chosen:
        (entry,) = read_waiting(b"[" + write_head(row) + b'YQ=="}]').messages
        assert entry.id == str(WaitingId(row.id, row.envelope.delivery_id))
