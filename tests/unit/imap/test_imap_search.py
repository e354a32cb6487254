"""Searches against a naive model that knows everything about a message at once."""

from datetime import UTC, date, datetime
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.imap.header_text import decode_header_text
from mailnode.imap.search import Candidate, judge, needs_body, settle_sets
from mailnode.imap.search_keys import (
    AllOf,
    AnyOf,
    BodyContains,
    DateRelation,
    HasFlag,
    HeaderContains,
    IsRecent,
    LargerThan,
    Not,
    NumberIn,
    ReceivedDate,
    SearchKey,
    SentDate,
    SmallerThan,
    TextContains,
)
from mailnode.store.mail_store import BodyId, Message, Uid
from support.imap_commands import search_keys

HEADER = (
    b"Subject: =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?b?w59l?= x\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
    b"To: a@b\r\n\r\n"
)
BODY = "Größe of TEXT\r\n"
SENT = date(1994, 2, 7)
RECEIVED_SECONDS = 760_665_600  # 8 February 1994 in UTC
WORDS = ["", "grösse", "grüsse", "text", "a@b", "subject", "nothing"]

days = st.dates(date(1994, 2, 6), date(1994, 2, 9))
relations = st.sampled_from(DateRelation)
own_leaves: st.SearchStrategy[SearchKey] = st.one_of(
    st.builds(HasFlag, st.sampled_from(["\\seen", "$work", "$other"])),
    st.just(IsRecent()),
    st.builds(LargerThan, st.integers(90, 110)),
    st.builds(SmallerThan, st.integers(90, 110)),
    st.builds(ReceivedDate, relations, days),
    st.builds(SentDate, relations, days),
    st.builds(HeaderContains, st.sampled_from(["subject", "to", "cc"]), st.sampled_from(WORDS)),
    st.builds(BodyContains, st.sampled_from(WORDS)),
    st.builds(TextContains, st.sampled_from(WORDS)),
)
keys: st.SearchStrategy[SearchKey] = st.recursive(
    own_leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=2).map(tuple)),
    ),
    max_leaves=8,
)
MESSAGE = Message(Uid(7), frozenset(("\\Seen", "$Work")), 100, RECEIVED_SECONDS, BodyId(1))


def related(day: date, relation: DateRelation, given_day: date) -> bool:
    return {"before": day < given_day, "on": day == given_day, "since": day >= given_day}[relation.value]


def holds(key: SearchKey) -> bool:  # noqa: C901, PLR0911, PLR0912 - one case for each key
    headers = {"subject": "grüsse x", "date": "", "to": "a@b"}
    match key:
        case AllOf():
            return all(map(holds, key.keys))
        case AnyOf():
            return any(map(holds, key.keys))
        case Not():
            return not holds(key.key)
        case HasFlag():
            return key.flag in ("\\seen", "$work")
        case IsRecent():
            return True
        case NumberIn():
            return True
        case LargerThan():
            return key.size_bytes < 100
        case SmallerThan():
            return key.size_bytes > 100
        case ReceivedDate():
            return related(datetime.fromtimestamp(RECEIVED_SECONDS, UTC).date(), key.relation, key.day)
        case SentDate():
            return related(SENT, key.relation, key.day)
        case HeaderContains():
            return key.field in headers and key.text in headers[key.field]
        case BodyContains():
            return key.text in BODY.casefold()
        case TextContains():
            return key.text in BODY.casefold() or key.text in "subject: grüsse x date to: a@b"
        case _:
            assert_never(key)


@given(keys)
def test_verdict_is_that_of_somebody_who_knows_all(key: SearchKey) -> None:
    header = HEADER.removesuffix(b"\r\n") + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    candidate = Candidate(MESSAGE, 1, is_recent=True)
    first = judge(key, candidate)
    candidate.header = header
    candidate.body = header + BODY.encode() if needs_body(key) else b""

    assert judge(key, candidate) is holds(key)
    assert first in (None, holds(key))


@given(search_keys)
def test_every_search_that_can_be_asked_for_has_a_verdict(written: tuple[bytes, SearchKey]) -> None:
    _, key = written
    candidate = Candidate(MESSAGE, 1, is_recent=False, header=HEADER, body=HEADER + b"\xff" + BODY.encode())

    assert judge(settle_sets(key, 1, 7), candidate) in (True, False)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_message_is_too_strange_to_be_searched(header: bytes, body: bytes) -> None:
    data = b"Date: " + header + b"\r\nContent-Type: text/plain; charset=" + body + b"\r\n\r\n" + body
    candidate = Candidate(MESSAGE, 1, is_recent=False, header=data, body=data)
    for key in (
        SentDate(DateRelation.ON, SENT),
        TextContains("x"),
        BodyContains("y"),
        HeaderContains("date", ""),
    ):
        assert judge(key, candidate) in (True, False)


@pytest.mark.parametrize(
    "charset", ["rot13", "base64", "nonsense", "utf-16", "idna", "punycode", "undefined", "hex"]
)
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit", "nonsense"])
def test_odd_character_sets_are_read_as_far_as_possible(charset: str, encoding: str) -> None:
    header = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    data = header.encode() + b"=FF\xff\x00A==B"
    candidate = Candidate(MESSAGE, 1, is_recent=False, header=b"", body=data)

    assert judge(BodyContains("nothing like it"), candidate) is False
    decode_header_text(f"=?{charset}?b?/w?= =?{charset}?q?=FF=?=".encode())
