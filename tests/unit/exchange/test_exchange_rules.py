"""The small rules of an exchanger: tokens, space, hops, memory, and what a log may say."""

from base64 import b64encode
from contextlib import ExitStack

import pytest

from mailnode.accounts.rate_limit import RateLimiter
from mailnode.exchange.errors import NoSpaceError
from mailnode.exchange.figures import FIGURES, Counts
from mailnode.exchange.forwarding import leave_names_out
from mailnode.exchange.hops import HOPS_HEADER, Passage, find_hops, make_id, read_hops
from mailnode.exchange.intake import Intake
from mailnode.exchange.shelf import Shelf
from mailnode.exchange.tokens import TokenBook, digest_token, make_token, read_token
from mailnode.federation.errors import MalformedDeliveryError, TooLargeError, TryLaterError
from mailnode.federation.retry import Delivered, Failed, Refused
from mailnode.store.mail_store import Envelope, Usage
from support.store_memory import MemoryMailStore


def test_token_of_each_domain_is_told_apart_and_what_is_none_opens_nothing() -> None:
    first, second, third = (make_token() for _ in range(3))
    word = digest_token("a word that somebody has thought of")
    a_digest, both = digest_token(first), digest_token(second)
    book = TokenBook({"a.example": [a_digest, word, both], "b.example": [both]})

    found = [set(book.find_domains(token)) for token in (first, second, third)]
    assert found == [{"a.example"}, {"a.example", "b.example"}, set()]
    for other in (
        None,
        "",
        "a word that somebody has thought of",
        first + "x",
        first[:-1],
        digest_token(first),
    ):
        assert not book.find_domains(other)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer   abc ", "abc"),
        ("Basic " + b64encode(b"x:abc").decode(), "abc"),
        ("Basic " + b64encode(b"abc").decode(), None),
        ("Basic =", None),
        ("Basic \u00e9", None),
        ("Bearer", None),
        ("Digest abc", None),
        ("", None),
    ],
)
def test_token_is_read_from_a_header(header: str, token: str | None) -> None:
    assert read_token(header) == token


def test_shelf_is_full_at_its_limits() -> None:
    shelf = Shelf(domain_bytes=100, total_bytes=150)
    shelf.fill({"a.example": Usage(60, 2)})

    shelf.reserve(["a.example"], 40)
    with pytest.raises(NoSpaceError):
        shelf.reserve(["a.example"], 1)
    shelf.reserve(["b.example"], 50)
    with pytest.raises(NoSpaceError):
        shelf.reserve(["c.example"], 1)
    assert (shelf.used_bytes, shelf.message_count) == (150, 4)

    shelf.release("a.example", [60, 40])
    shelf.release("b.example", [50])
    assert (shelf.used_bytes, shelf.message_count) == (0, 1)
    shelf.reserve(["c.example"], 100)
    for domains, size_bytes in ((["d.example"], 101), (["d.example", "d.example"], 51), (["d", "e"], 76)):
        with pytest.raises(TooLargeError):
            shelf.reserve(domains, size_bytes)


def test_hops_travel_in_the_id_and_in_a_header() -> None:
    id_ = make_id(3)

    assert find_hops(id_) == 3
    passage = Passage(id="", mail_from="", recipients=("a@b.example", "c@b.example"), hops=3)
    assert passage.write_headers() == [
        (HOPS_HEADER, "3"),
        ("x-mail-from", ""),
        ("x-mail-to", "a@b.example"),
        ("x-mail-to", "c@b.example"),
    ]
    assert [read_hops(value) for value in (None, "0", "9")] == [0, 0, 9]
    for value in ("", "10", "-1", "x", "\u0663"):
        with pytest.raises(MalformedDeliveryError):
            read_hops(value)


async def pass_nothing_on(_envelope: Envelope, _message: bytes) -> bool:
    return False


def test_uploads_wait_for_memory_and_one_is_always_read() -> None:
    intake = Intake(
        listed=(),
        store=MemoryMailStore(),
        shelf=Shelf(domain_bytes=1, total_bytes=1),
        counts=Counts(),
        limiter=RateLimiter(None),
        max_bytes=100,
        pass_on=pass_nothing_on,
        wake=lambda _: None,
        max_reading_bytes=150,
    )
    with pytest.raises(TooLargeError), intake.hold_memory(101):
        pass
    with ExitStack() as stack:
        stack.enter_context(intake.hold_memory(None))  # as large as it may be
        stack.enter_context(intake.hold_memory(50))
        with pytest.raises(TryLaterError), intake.hold_memory(1):
            pass
    with intake.hold_memory(100), intake.hold_memory(50):
        pass


def test_log_says_how_the_next_server_refused_and_not_in_which_words() -> None:
    assert leave_names_out(Refused("550 no user <bob@kept.example>")) == Refused("550")
    assert leave_names_out(Failed("ConnectError: [Errno 111]", is_of_node=True)) == Failed(
        "ConnectError", is_of_node=True
    )
    assert leave_names_out(Delivered({"bob@kept.example": "550 bob"})) == Delivered()


def test_each_count_is_a_figure() -> None:
    assert Counts().as_mapping().keys() < FIGURES.keys()
