"""MIME around encrypted data: what two readers could understand differently is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.encryption import mime_framing
from mailnode.encryption.errors import UnencryptedError
from mailnode.encryption.from_header import is_same_address, read_address
from mailnode.encryption.mime_framing import (
    MAX_HEADER_BYTES,
    PLAIN_TEXT,
    MediaType,
    is_blank,
    read_media_type,
    split_entity,
    split_multipart,
)

tokens = st.text("abcXYZ019!#$-._", min_size=1, max_size=10).map(str.encode)
quoted = st.text("abc XYZ;=/,()<>@:?", max_size=20).map(str.encode)


def test_fields_are_unfolded_and_their_names_lowered() -> None:
    entity = split_entity(b"Subject: one\r\n two\r\nX-Test:three\r\n\r\nText")

    assert entity.fields == {b"subject": b" one two", b"x-test": b"three"}
    assert entity.body == b"Text"


def test_entity_may_have_no_fields() -> None:
    assert split_entity(b"\r\nText").fields == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Subject: no end\r\n",
        b" folded: first\r\n\r\n",
        b"no colon\r\n\r\n",
        b"Sub ject: x\r\n\r\n",
        b"Subject : x\r\n\r\n",
        b": no name\r\n\r\n",
        b"Subject: bare\nLF\r\n\r\n",
        b"Subject: bare\rCR\r\n\r\n",
        b"Subject: NUL\0\r\n\r\n",
        b"Subj\xc3\xa9ct: name\r\n\r\n",
        b"From: a@example.org\r\nFROM: b@example.org\r\n\r\n",
        b"Content-Type: text/plain\r\ncontent-type: text/html\r\n\r\n",
    ],
)
def test_header_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(UnencryptedError):
        split_entity(data)


def test_field_that_may_be_there_often_may_be_there_often() -> None:
    assert split_entity(b"Autocrypt: a\r\nAutocrypt: b\r\n\r\n").fields == {b"autocrypt": b" a"}


def test_size_of_a_header_is_bounded() -> None:
    def header(size_bytes: int) -> bytes:
        return b"X-Test: ".ljust(size_bytes - 4, b"x") + b"\r\n\r\n"

    split_entity(header(MAX_HEADER_BYTES))
    with pytest.raises(UnencryptedError):
        split_entity(header(MAX_HEADER_BYTES + 1))


@given(tokens, tokens, tokens, tokens | quoted, st.sampled_from([b"; ", b";", b";\t", b" ; "]), st.booleans())
def test_media_type_is_read(  # noqa: PLR0917 - drawn
    kind: bytes, subtype: bytes, name: bytes, value: bytes, separator: bytes, is_ended: bool
) -> None:
    written = b'%b/%b%b%b="%b"%b' % (kind, subtype, separator, name, value, b";" if is_ended else b"")

    found = read_media_type({b"content-type": b" " + written})

    assert found == MediaType((kind + b"/" + subtype).lower(), {name.lower(): value})


def test_unquoted_parameter_is_read() -> None:
    fields = {b"content-type": b"multipart/mixed; boundary=a_b; charset=utf-8"}

    assert read_media_type(fields).parameters == {b"boundary": b"a_b", b"charset": b"utf-8"}


def test_without_content_type_a_part_is_plain_text() -> None:
    assert read_media_type({}) == PLAIN_TEXT


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"multipart",
        b"multipart/mixed boundary=a",
        b"multipart/mixed; boundary=a; boundary=b",
        b"multipart/mixed; boundary=a; Boundary=b",
        b"multipart/mixed; boundary*0=a; boundary*1=b",
        b"multipart/mixed; boundary*=utf-8''a",
        b'multipart/mixed; boundary="a\\"b"',
        b'multipart/mixed; boundary="a',
        b"multipart/mixed; boundary=(comment)a",
        b"multipart/mixed; boundary",
        b"multipart/mixed; boundary= a",
        b"multipart (comment)/mixed",
    ],
)
def test_media_type_that_is_unclear_is_refused(value: bytes) -> None:
    with pytest.raises(UnencryptedError):
        read_media_type({b"content-type": value})


MIXED = MediaType(b"multipart/mixed", {b"boundary": b"abc"})
TWO = b"--abc\r\n\r\nfirst\r\n--abc\r\nContent-Type: text/html\r\n\r\nsecond\r\n--abc--\r\n"


@pytest.mark.parametrize("before", [b"", b"\r\n", b" \r\n\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\t\r\n"])
def test_parts_are_split(before: bytes, after: bytes) -> None:
    first, second = split_multipart(split_entity(b"\r\n" + before + TWO + after), MIXED, 2)

    assert (first.fields, first.body) == ({}, b"first")
    assert (second.fields, second.body) == ({b"content-type": b" text/html"}, b"second")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Hello\r\n" + TWO, id="preamble"),
        pytest.param(b"\n" + TWO, id="bare LF before"),
        pytest.param(TWO + b"Hello", id="epilogue"),
        pytest.param(TWO + b"\n", id="bare LF after"),
        pytest.param(TWO.replace(b"--abc--", b"--abc--x"), id="text behind the end"),
        pytest.param(TWO.replace(b"--abc--", b"--abc"), id="no end"),
        pytest.param(TWO.replace(b"--abc--\r\n", b""), id="cut off"),
        pytest.param(TWO.replace(b"second", b"--abcdef"), id="almost a delimiter"),
        pytest.param(TWO.replace(b"--abc\r\nC", b"--abc \r\nC"), id="padded delimiter"),
        pytest.param(TWO.replace(b"--abc\r\nC", b"--abc--\r\nC"), id="end in the middle"),
        pytest.param(TWO.replace(b"second", b"x\r\n--abc\r\n\r\nthird"), id="third part"),
        pytest.param(TWO.replace(b"Content-Type", b"Subject"), id="another field in a part"),
        pytest.param(b"--abc\r\n\r\nonly\r\n--abc--\r\n", id="one part"),
    ],
)
def test_body_that_is_not_exactly_the_parts_is_refused(body: bytes) -> None:
    with pytest.raises(UnencryptedError):
        split_multipart(split_entity(b"\r\n" + body), MIXED, 2)


@pytest.mark.parametrize("boundary", [None, b"", b"a" * 71, b"ends with space ", b"semi;colon", b"\xc3\xa9"])
def test_boundary_that_is_none_is_refused(boundary: bytes | None) -> None:
    media_type = MediaType(b"multipart/mixed", {} if boundary is None else {b"boundary": boundary})
    body = TWO.replace(b"abc", boundary or b"")

    with pytest.raises(UnencryptedError):
        split_multipart(split_entity(b"\r\n" + body), media_type, 2)


def test_longest_boundary_is_accepted() -> None:
    boundary = b"a" * 70
    entity = split_entity(b"\r\n" + TWO.replace(b"abc", boundary))
    parts = split_multipart(entity, MediaType(b"multipart/mixed", {b"boundary": boundary}), 2)

    assert len(parts) == 2


@pytest.mark.parametrize("piece_bytes", range(1, len(TWO) + 2))
def test_parts_are_found_wherever_the_search_is_cut(
    monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(mime_framing, "SEARCHED_AT_ONCE_BYTES", piece_bytes)

    first, second = split_multipart(split_entity(b"\r\n" + TWO), MIXED, 2)

    assert (first.body, second.body) == (b"first", b"second")
    with pytest.raises(UnencryptedError):
        split_multipart(split_entity(b"\r\n" + TWO), MIXED, 1)
    with pytest.raises(UnencryptedError):
        split_multipart(split_entity(b"\r\n" + TWO), MIXED, 3)


def test_lone_line_ends_are_not_blank() -> None:
    assert is_blank(b" \r\n\t\r\n")
    assert not is_blank(b"\r\n\n")
    assert not is_blank(b"\r")


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b" alice@example.org", "alice@example.org"),
        (b" <alice@example.org>", "alice@example.org"),
        (b" Alice <alice@example.org> ", "alice@example.org"),
        (b' "Last, First <x@y>" <alice@example.org>', "alice@example.org"),
        (b" =?utf-8?q?Al=C3=AFce?= A. B. <alice@example.org>", "alice@example.org"),
        (b" \xd8\xb9 <a.b+c@example.org>", "a.b+c@example.org"),
        (b" <alice@[192.0.2.1]>", "alice@[192.0.2.1]"),
        (b" <alice@[IPv6:2001:db8::1]>", "alice@[IPv6:2001:db8::1]"),
        (b" <alice@[ipv6:2001:db8::1]>", "alice@[ipv6:2001:db8::1]"),
        (b" <alice@[IPv4:192.0.2.1]>", None),
        (b"", None),
        (b" ", None),
        (b" Alice", None),
        (b" <>", None),
        (b" <alice@example.org>, <bob@example.org>", None),
        (b" alice@example.org, bob@example.org", None),
        (b" Alice <alice@example.org> <bob@example.org>", None),
        (b" <bob@example.org> alice@example.org", None),
        (b" alice@example.org <bob@example.org>", None),
        (b" friends: alice@example.org;", None),
        (b" (bob@example.org) alice@example.org", None),
        (b" <@relay.example:alice@example.org>", None),
        (b" <alice@example.org", None),
        (b" alice@ example.org", None),
        (b" .alice@example.org", None),
    ],
)
def test_from_field_is_one_address_or_none(value: bytes, address: str | None) -> None:
    assert read_address(value) == address


def test_spellings_of_one_mailbox_are_the_same() -> None:
    assert is_same_address("Alice@Example.org", "alice@example.org")
    assert is_same_address("alice@192.0.2.1", "alice@[192.0.2.1]")
    assert is_same_address("alice@2001:db8::1", "alice@[IPv6:2001:db8::1]")
    assert not is_same_address("alice@example.org", "alice@example.net")
    assert not is_same_address("alice@example.org", "bob@example.org")
