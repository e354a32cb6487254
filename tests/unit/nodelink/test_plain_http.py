"""What port 80 reads and answers: limits at, below and above, and where a redirect leads."""

from http import HTTPStatus

import pytest

from nodelink.daemon.plain_http import (
    MAX_HEAD_BYTES,
    MAX_TARGET_CHARACTERS,
    BadOriginError,
    RefusedRequestError,
    Request,
    check_origin,
    find_token,
    read_request,
    write_challenge,
    write_origin,
    write_redirect,
    write_refusal,
)

CHALLENGE = "/.well-known/acme-challenge/"
MAX_TOKEN_CHARACTERS = 128
LONGEST_TOKEN = "x" * MAX_TOKEN_CHARACTERS


def read(line: str) -> Request | None:
    return read_request(f"{line}\r\nHost: other.example.org\r\n\r\n".encode())


def refuse(received: bytes) -> HTTPStatus:
    with pytest.raises(RefusedRequestError) as refused:
        read_request(received)
    return refused.value.status


def pad(size: int, end: bytes) -> bytes:
    start = b"GET / HTTP/1.1\r\nX: "
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_request_is_read_when_its_head_is_complete_and_not_before(line_end: str) -> None:
    head = f"GET /a?b=c HTTP/1.1{line_end}Host: example.org{line_end}{line_end}".encode()

    assert [read_request(head[:count]) for count in range(len(head))] == [None] * len(head)
    assert read_request(head) == Request("GET", "/a?b=c")
    assert read_request(head + b"body") == Request("GET", "/a?b=c")


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("GET http://other.example.org/a?b HTTP/1.1", "/a?b"),
        ("GET HTTP://other.example.org HTTP/1.1", "/"),
        ("GET http://other.example.org?b HTTP/1.1", "/?b"),
        ("POST //other.example.org/ HTTP/1.0", "//other.example.org/"),
        ("GET /%0d%0aX:y HTTP/1.1", "/%0d%0aX:y"),
    ],
)
def test_whoever_a_target_names_its_path_is_ours(line: str, target: str) -> None:
    request = read(line)

    assert request is not None
    assert request.target == target


@pytest.mark.parametrize(
    "line",
    [
        "",
        "GET",
        "GET /",
        "get / HTTP/1.1",
        "GET / HTTP/2.0",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET * HTTP/1.1",
        "GET https://other.example.org/ HTTP/1.1",
        "CONNECT other.example.org:443 HTTP/1.1",
        'GET /" HTTP/1.1',
        "GET /<b> HTTP/1.1",
        "GET /\\ HTTP/1.1",
        "GET /#a HTTP/1.1",
        "GET /é HTTP/1.1",
        "GET /\x00 HTTP/1.1",
        "GET /\r/ HTTP/1.1",
        "EHLO example.org",
    ],
)
def test_what_is_no_request_is_refused(line: str) -> None:
    assert refuse(line.encode() + b"\r\n\r\n") == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES - 1, MAX_HEAD_BYTES])
def test_head_up_to_the_limit_is_read(size: int) -> None:
    assert read_request(pad(size, b"\r\n\r\n")) == Request("GET", "/")
    assert read_request(pad(size, b"\r\n\r\n") + b"x" * MAX_HEAD_BYTES) == Request("GET", "/")


def test_head_over_the_limit_is_refused() -> None:
    assert refuse(pad(MAX_HEAD_BYTES + 1, b"\r\n\r\n")) == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


def test_head_is_waited_for_while_it_may_still_fit() -> None:
    assert read_request(pad(MAX_HEAD_BYTES - 1, b"\r\n")) is None
    assert refuse(pad(MAX_HEAD_BYTES, b"\r\n")) == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@pytest.mark.parametrize("size", [MAX_TARGET_CHARACTERS - 1, MAX_TARGET_CHARACTERS])
def test_target_up_to_the_limit_is_read(size: int) -> None:
    assert read(f"GET /{'a' * (size - 1)} HTTP/1.1") == Request("GET", f"/{'a' * (size - 1)}")


def test_target_over_the_limit_is_refused() -> None:
    line = f"GET /{'a' * MAX_TARGET_CHARACTERS} HTTP/1.1\r\n\r\n"

    assert refuse(line.encode()) == HTTPStatus.REQUEST_URI_TOO_LONG


@pytest.mark.parametrize("token", ["a", "A-z_09", LONGEST_TOKEN[1:], LONGEST_TOKEN])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_token_of_a_challenge_is_found(method: str, token: str) -> None:
    assert find_token(Request(method, CHALLENGE + token)) == token


@pytest.mark.parametrize("token", ["", ".", "..", "a/../b", "a%2fb", "a.b", "a?b", LONGEST_TOKEN + "x"])
def test_challenge_without_a_token_is_none_that_is_here(token: str) -> None:
    assert find_token(Request("GET", CHALLENGE + token)) == ""


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/"), ("POST", CHALLENGE + "a"), ("GET", "/x" + CHALLENGE + "a"), ("GET", CHALLENGE[:-1])],
)
def test_other_requests_are_for_no_challenge(method: str, target: str) -> None:
    assert find_token(Request(method, target)) is None


def test_challenge_is_answered_with_its_content_and_head_with_its_length() -> None:
    whole, head = (write_challenge(Request(method, "/"), b"content") for method in ("GET", "HEAD"))

    assert whole == head + b"content"
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 7\r\n" in head
    assert head.endswith(b"\r\nConnection: close\r\n\r\n")


def test_challenge_that_is_not_here_is_not_found() -> None:
    assert write_challenge(Request("GET", "/"), None) == write_refusal(HTTPStatus.NOT_FOUND)


def test_redirect_leads_to_the_same_target_of_our_own_origin() -> None:
    answer = write_redirect(Request("POST", "/new?a=b"), "https://chat.example.org:8443")

    assert answer.startswith(
        b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://chat.example.org:8443/new?a=b\r\n"
    )


@pytest.mark.parametrize(
    ("host", "port", "origin"),
    [
        ("chat.example.org", 443, "https://chat.example.org"),
        ("_chat.example.org", 8443, "https://_chat.example.org:8443"),
        ("192.0.2.21", 443, "https://192.0.2.21"),
        ("2001:db8::21", 443, "https://[2001:db8::21]"),
        ("2001:db8::21", 8443, "https://[2001:db8::21]:8443"),
    ],
)
def test_origin_is_written_as_browsers_read_it(host: str, port: int, origin: str) -> None:
    assert check_origin(write_origin(host, port)) == origin


@pytest.mark.parametrize(
    "origin", ["https://bücher.example.org", "https://a\r\nX: y", "http://example.org", "https://"]
)
def test_origin_that_no_redirect_can_name_is_refused(origin: str) -> None:
    with pytest.raises(BadOriginError, match="Write the host's name in ASCII"):
        check_origin(origin)
