"""Parts of messages that are made to cost much."""

import pytest

from mailnode.imap.message_parts import MAX_DEPTH, MAX_PARTS, Part, find_part, parse_parts


def nested(depth: int) -> bytes:
    message = b"\r\ninnermost"
    for level in range(depth):
        boundary = b"b%d" % level
        message = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n%s\r\n--%s--" % (
            boundary,
            boundary,
            message,
            boundary,
        )
    return message


def depth_of(part: Part) -> int:
    inner = [*part.children, *([part.message] if part.message else [])]
    return 1 + max(map(depth_of, inner), default=0)


def count(part: Part) -> int:
    return 1 + sum(map(count, part.children)) + (count(part.message) if part.message else 0)


@pytest.mark.parametrize(("depth", "seen_depth"), [(15, 16), (16, 17), (17, 17), (200, 17)])
def test_depth_is_bounded(depth: int, seen_depth: int) -> None:
    assert depth_of(parse_parts(nested(depth))) == seen_depth
    assert MAX_DEPTH == 16


@pytest.mark.parametrize(("parts", "seen"), [(998, 999), (999, 1000), (1000, 1000), (5000, 1000)])
def test_number_of_parts_is_bounded(parts: int, seen: int) -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * parts + b"--b--"

    assert count(parse_parts(message)) == seen
    assert MAX_PARTS == 1000


def test_enclosed_messages_are_bounded_too() -> None:
    assert depth_of(parse_parts(b"Content-Type: message/rfc822\r\n\r\n" * 500)) == MAX_DEPTH + 1


def test_long_message_of_beginnings_is_parsed_quickly() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--bx" * 1_000_000

    assert parse_parts(data).content_type.sub == "octet-stream"


def test_missing_closing_delimiter_ends_the_last_part_with_the_message() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond"
    first, second = parse_parts(data).children

    assert data[first.body_start : first.body_end] == b"first"
    assert data[second.body_start : second.body_end] == b"second"


def test_parts_of_a_digest_are_messages() -> None:
    data = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ntext\r\n--b--"
    root = parse_parts(data)

    assert root.children[0].message is not None
    assert root.children[0].message.header == {b"subject": b"x"}
    assert find_part(root, (1, 1)) is root.children[0].message


def test_encoded_message_is_not_looked_into() -> None:
    data = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA=="

    assert parse_parts(data).message is None


@pytest.mark.parametrize("boundary", [b"", b'""', b"x" * 999])
def test_impossible_boundary_makes_one_unknown_part(boundary: bytes) -> None:
    root = parse_parts(b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n--\r\n\r\nx")

    assert (root.children, root.content_type.main) == ([], "application")


def test_quoted_boundary_may_hold_anything() -> None:
    root = parse_parts(
        b'Content-Type: multipart/mixed; boundary="a \\"b; c"\r\n\r\n--a "b; c\r\n\r\nx\r\n--a "b; c--'
    )

    assert len(root.children) == 1
