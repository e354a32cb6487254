"""What several deliveries look like in one request, and which may be together in one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.federation.batch import (
    ENTRY_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    Answer,
    digest_batch,
    plan_requests,
    read_answers,
    read_batch,
    understands_batches,
    write_answers,
    write_batch,
    write_taken,
)
from mailnode.federation.delivery import MAX_RECIPIENTS, Delivery
from mailnode.federation.errors import MalformedDeliveryError
from mailnode.federation.retry import Delivered, Failed, Refused
from mailnode.store.mail_store import BodyId, Envelope, Outgoing, OutgoingId

ID = "0123456789abcdef"
ADDRESSES = st.sampled_from(["a@b", '"@two', "\\\\@two", "bob@[192.0.2.1]", "~!@two", f"{'x' * 64}@two"])
RECIPIENTS = tuple(f"\\{number}@two" for number in range(MAX_RECIPIENTS))
"""The longest that they can get in JSON."""
DELIVERIES = st.builds(
    Delivery,
    st.sampled_from([ID, "x" * 64, "-" * 16]),
    ADDRESSES,
    st.lists(ADDRESSES, min_size=1, max_size=4, unique=True).map(tuple),
)
BATCHES = st.lists(st.tuples(DELIVERIES, st.binary(max_size=40)), min_size=1, max_size=5)
ROWS = st.lists(
    st.builds(
        lambda count, size_bytes, attempts: waiting(size_bytes, attempts, RECIPIENTS[:count]),
        st.sampled_from([1, 2, MAX_RECIPIENTS]),
        st.sampled_from([1, 5_000, 100_000, MAX_BATCH_BYTES, 1 << 24]),
        st.sampled_from([0, 0, 0, 1]),
    ),
    max_size=20,
)


def waiting(
    size_bytes: int, attempts: int = 0, recipients: tuple[str, ...] = ("bob@two",), sender: str = "a@one"
) -> Outgoing:
    envelope = Envelope(ID, "two", sender, recipients)
    return Outgoing(OutgoingId(1), envelope, BodyId(1), size_bytes, 0, attempts, 0)


def largest_single() -> int:
    """Compute how large a message to one recipient may be to go with others."""
    row = waiting(0)
    addresses = len(row.envelope.sender) + len(row.envelope.recipients[0])
    return MAX_BATCH_BYTES - 3 - ENTRY_BYTES - 2 * addresses - 3


@given(BATCHES)
def test_batch_is_read_as_it_was_written(batch: list[tuple[Delivery, bytes]]) -> None:
    assert read_batch(write_batch(batch)) == batch


@given(st.one_of(st.binary(max_size=80), BATCHES.map(write_batch)), st.binary(max_size=3), st.integers(0, 60))
def test_any_bytes_are_a_batch_or_refused(body: bytes, noise: bytes, place: int) -> None:
    damaged = body[:place] + noise + body[place + len(noise) :]
    try:
        read = read_batch(damaged)
    except MalformedDeliveryError:
        return
    assert damaged.endswith(b"".join(message for _, message in read))


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "from", "to", "bytes"]),
            st.one_of(st.just(ID), st.just(["a@b"]), st.integers(-2, 2), st.just("a@b"), st.none()),
        ),
        max_size=3,
    )
)
def test_entries_of_any_kind_are_read_or_refused(entries: list[dict[str, object]]) -> None:
    body = json.dumps(entries).encode() + b"\n"
    try:
        read = read_batch(body)
    except MalformedDeliveryError:
        return
    assert all(message == b"" for _, message in read)


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"[]\n", b"{}\n", b"[" * 100_000, b'[{"id": 1}]\n', b"\xff\n", b"[]"],
)
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedDeliveryError):
        read_batch(body)


@pytest.mark.parametrize("missing", [1, -1])
def test_messages_are_as_long_as_it_says(missing: int) -> None:
    body = write_batch([(Delivery(ID, "a@b", ("c@d",)), b"message")])

    with pytest.raises(MalformedDeliveryError):
        read_batch(body[:-missing] if missing > 0 else body + b"x")


@pytest.mark.parametrize(("offset", "is_read"), [(-1, True), (0, True), (1, False)])
def test_number_of_deliveries_is_limited(offset: int, is_read: bool) -> None:
    body = write_batch([(Delivery(ID, "a@b", ("c@d",)), b"x")] * (MAX_BATCH_MESSAGES + offset))

    if is_read:
        assert len(read_batch(body)) == MAX_BATCH_MESSAGES + offset
    else:
        with pytest.raises(MalformedDeliveryError):
            read_batch(body)


@pytest.mark.parametrize(("offset", "is_read"), [(-1, True), (0, True), (1, False)])
def test_number_of_recipients_of_all_is_limited(offset: int, is_read: bool) -> None:
    many = tuple(f"u{number}@two" for number in range(MAX_RECIPIENTS - 1 + offset))
    body = write_batch([(Delivery(ID, "a@b", ("c@d",)), b"x"), (Delivery(ID, "a@b", many), b"x")])

    if is_read:
        assert len(read_batch(body)) == 2
    else:
        with pytest.raises(MalformedDeliveryError):
            read_batch(body)


@given(ROWS, st.integers(1, 8))
def test_planned_requests_are_taken_and_in_order(rows: list[Outgoing], max_requests: int) -> None:
    requests = plan_requests(rows, max_requests)

    planned = [id(row) for request in requests for row in request]
    assert len(planned) == len(set(planned))
    assert set(planned) == {id(row) for row in rows[: len(planned)]}  # nothing is overtaken by what waits
    assert len(requests) <= max_requests
    assert len(planned) == len(rows) or len(requests) == max_requests
    for request in requests:
        if len(request) > 1:
            assert all(row.attempt_count == 0 for row in request)
            written = [
                (Delivery("x" * 64, row.envelope.sender, row.envelope.recipients), b"x" * row.size_bytes)
                for row in request
            ]
            assert len(write_batch(written)) <= MAX_BATCH_BYTES


@pytest.mark.parametrize(("offset", "requests"), [(-1, 1), (0, 1), (1, 2)])
def test_requests_hold_so_many_messages(offset: int, requests: int) -> None:
    assert len(plan_requests([waiting(1)] * (MAX_BATCH_MESSAGES + offset), 8)) == requests


@pytest.mark.parametrize(("offset", "requests"), [(-1, 1), (0, 1), (1, 2)])
def test_requests_hold_so_many_bytes(offset: int, requests: int) -> None:
    small = waiting(1)
    left = largest_single() - (MAX_BATCH_BYTES - 3 - largest_single()) - small.size_bytes

    assert len(plan_requests([small, waiting(left + offset)], 8)) == requests


@pytest.mark.parametrize(("offset", "requests"), [(-1, 1), (0, 1), (1, 2)])
def test_requests_hold_so_many_recipients(offset: int, requests: int) -> None:
    many = tuple(f"u{number}@two" for number in range(MAX_RECIPIENTS - 1 + offset))

    assert len(plan_requests([waiting(1), waiting(1, recipients=many)], 8)) == requests


def test_message_that_fills_a_request_goes_alone() -> None:
    rows = [waiting(1), waiting(largest_single() + 1), waiting(1), waiting(1 << 24), waiting(1)]

    assert plan_requests(rows, 8) == [[rows[0], rows[2], rows[4]], [rows[1]], [rows[3]]]


def test_what_failed_before_goes_alone() -> None:
    rows = [waiting(1), waiting(1, attempts=1), waiting(2)]

    assert plan_requests(rows, 8) == [[rows[0], rows[2]], [rows[1]]]


def test_answers_are_read_one_by_one() -> None:
    answers = [
        Answer(200),
        Answer(200, {"x@two": "Mailbox full"}),
        Answer(404, reason="No such user here"),
        Answer(503, reason="Try again later"),
    ]

    assert read_answers(write_answers(answers).encode(), 4) == [
        Delivered(),
        Delivered({"x@two": "Mailbox full"}),
        Refused("404 No such user here"),
        Failed("503 Try again later", is_of_node=False),
    ]


@pytest.mark.parametrize("count", [3, 5])
def test_answers_are_as_many_as_were_asked_for(count: int) -> None:
    assert read_answers(write_answers([Answer(200)] * 4).encode(), count) is None


@given(st.one_of(st.binary(max_size=60), st.just(write_answers([Answer(200)]).encode())), st.integers(1, 3))
def test_any_answer_is_read(text: bytes, count: int) -> None:
    outcomes = read_answers(text, count)

    assert outcomes is None or len(outcomes) == count
    understands_batches(text)


@pytest.mark.parametrize(
    "answer", [{"status": 200}, {"status": 200, "reason": "?"}, {"status": "200", "refused": {}}, 200, None]
)
def test_answer_of_another_kind_is_none(answer: object) -> None:
    assert read_answers(json.dumps({"answers": [answer]}).encode(), 1) is None


@pytest.mark.parametrize(
    ("text", "is_understood"),
    [
        (write_taken({}).encode(), True),
        (write_answers([]).encode(), True),
        (b'{"batch": 2}', True),
        (b'{"batch": 0}', False),
        (b'{"batch": true}', False),
        (b'{"refused": {}}', False),
        (b"ok", False),
    ],
)
def test_who_reads_batches_says_so(text: bytes, is_understood: bool) -> None:
    assert understands_batches(text) is is_understood


@given(BATCHES, BATCHES)
def test_digest_tells_batches_apart(
    one: list[tuple[Delivery, bytes]], other: list[tuple[Delivery, bytes]]
) -> None:
    first, second = write_batch(one), write_batch(other)

    assert (digest_batch(first) == digest_batch(second)) is (one == other)
    assert digest_batch(first) != one[0][0].digest(first)
