"""What travels between mail nodes, and when it travels again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.federation.delivery import (
    MAX_ENVELOPE_BYTES,
    MAX_RECIPIENTS,
    Delivery,
    plan_envelopes,
    read_headers,
    read_refused,
    tidy_reason,
    write_refused,
)
from mailnode.federation.errors import MalformedDeliveryError
from mailnode.federation.retry import (
    GIVE_UP_SECONDS,
    Failed,
    Refused,
    explain_overdue,
    is_overdue,
    judge_status,
    pause_after,
)
from mailnode.federation.siblings import Siblings
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import SiblingNode

KEY = PrivateKey.generate().public.x
ID = "0123456789abcdef"

visible = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="@"), min_size=1, max_size=20
)
addresses = st.builds(lambda name, domain: f"{name}@{domain}", visible, visible)
deliveries = st.builds(
    Delivery,
    st.from_regex(r"[A-Za-z0-9_-]{16,64}", fullmatch=True),
    addresses,
    st.lists(addresses, min_size=1, max_size=5, unique=True).map(tuple),
)


@given(deliveries)
def test_headers_are_read_as_they_were_written(delivery: Delivery) -> None:
    assert read_headers(delivery.write_headers()) == delivery


@given(deliveries, deliveries, st.binary(max_size=20), st.binary(max_size=20))
def test_digest_tells_deliveries_apart(one: Delivery, other: Delivery, first: bytes, second: bytes) -> None:
    assert (one.digest(first) == other.digest(second)) == ((one, first) == (other, second))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["x-madfleet-delivery-id", "x-mail-from", "x-mail-to", "other"]),
            st.one_of(st.text(max_size=30), addresses, st.just(ID)),
        ),
        max_size=8,
    )
)
def test_any_headers_are_a_delivery_or_refused(headers: list[tuple[str, str]]) -> None:
    try:
        delivery = read_headers(headers)
    except MalformedDeliveryError:
        return
    assert ("x-madfleet-delivery-id", delivery.id) in headers
    assert all(("x-mail-to", recipient) in headers for recipient in delivery.recipients)


@pytest.mark.parametrize(
    ("count", "is_taken"), [(0, False), (1, True), (MAX_RECIPIENTS, True), (MAX_RECIPIENTS + 1, False)]
)
def test_number_of_recipients_is_limited(count: int, is_taken: bool) -> None:
    headers = Delivery(ID, "a@b", tuple(f"u{number}@c" for number in range(count))).write_headers()

    if is_taken:
        assert len(read_headers(headers).recipients) == count
    else:
        with pytest.raises(MalformedDeliveryError):
            read_headers(headers)


@given(st.dictionaries(addresses, st.sampled_from(["one.example", "two.example"]), max_size=40))
def test_everybody_is_in_one_envelope_of_his_domain(recipients: dict[str, str]) -> None:
    envelopes = plan_envelopes("a@b", recipients)

    planned = {address: envelope.destination for envelope in envelopes for address in envelope.recipients}
    assert planned == recipients
    assert sum(len(envelope.recipients) for envelope in envelopes) == len(recipients)
    assert len({envelope.delivery_id for envelope in envelopes}) == len(envelopes)


def test_many_recipients_are_divided_so_that_each_head_fits() -> None:
    recipients = {f"{'x' * 50}{number:04}@two.example": "two.example" for number in range(1000)}

    envelopes = plan_envelopes("a@b", recipients)

    assert len(envelopes) > 5
    for envelope in envelopes:
        written = Delivery(envelope.delivery_id, envelope.sender, envelope.recipients).write_headers()
        assert sum(len(name) + len(value) + 4 for name, value in written) < MAX_ENVELOPE_BYTES + 512


@given(st.dictionaries(addresses, st.sampled_from(["Mailbox full", "No such user here"])))
def test_refused_recipients_are_read_as_they_were_written(refused: dict[str, str]) -> None:
    assert read_refused(write_refused(refused).encode()) == refused


@given(st.binary(max_size=60))
def test_any_answer_is_read(answer: bytes) -> None:
    assert isinstance(read_refused(answer), dict)


@given(st.text(max_size=400))
def test_reason_of_another_node_is_one_short_line(text: str) -> None:
    line = tidy_reason(text)

    assert len(line) <= 200
    assert line.isascii()
    assert line.isprintable() or line == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 499, 507])
def test_refusal_that_stays_is_told_at_once(status: int) -> None:
    assert judge_status(status, "why") == Refused(f"{status} why")


@pytest.mark.parametrize("status", [302, 408, 429, 500, 502, 503, 504, 599])
def test_trouble_that_passes_is_waited_for(status: int) -> None:
    assert isinstance(judge_status(status, ""), Failed)


@pytest.mark.parametrize("status", [200, 202, 299])
def test_success_is_success(status: int) -> None:
    assert judge_status(status, "") is None


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pause_grows_to_its_bound(failures: int, draw: float) -> None:
    assert 1 <= pause_after(failures, 30, draw) <= 30
    assert pause_after(failures, 30, draw) <= pause_after(failures + 1, 30, draw)


@pytest.mark.parametrize(("age", "is_over"), [(GIVE_UP_SECONDS - 1, False), (GIVE_UP_SECONDS, True)])
def test_message_is_given_up_after_two_days(age: int, is_over: bool) -> None:
    assert is_overdue(1_000, 1_000 + age) is is_over


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 seconds"), (3_599, "3599 seconds"), (3_600, "1 hours"), (5_400, "1.5 hours")],
)
def test_sender_is_told_how_long_a_message_has_waited(seconds: int, words: str) -> None:
    assert explain_overdue("no answer", seconds) == f"not reached for {words}, at last: no answer"


def sibling(domain: str, host: str = "192.0.2.1", key: str = KEY) -> SiblingNode:
    return SiblingNode(name="two", mail_domain=domain, host=host, port=443, public_key=key, tls_pin=None)


def test_sibling_is_found_by_its_domain_in_any_spelling() -> None:
    siblings = Siblings()
    siblings.replace([sibling("[ipv6:2001:DB8:0::1]", "2001:db8::1")])

    found = siblings.find_domain("[IPv6:2001:db8::1]")
    assert found is not None
    assert found is siblings.find_node("two") is siblings.find_domain("2001:db8::1")
    assert found.authority == "[2001:db8::1]"
    assert siblings.find_domain("not a domain") is None


def test_sibling_that_cannot_be_understood_is_left_out() -> None:
    siblings = Siblings()
    siblings.replace([sibling("no domain"), sibling("two.example", key="no key")])

    assert siblings.find_node("two") is None
