"""Whatever comes in at port 80, it is read or refused, and its answer cannot be bent."""

import re

from hypothesis import given
from hypothesis import strategies as st

from nodelink.daemon.plain_http import (
    MAX_HEAD_BYTES,
    RefusedRequestError,
    Request,
    find_token,
    read_request,
    write_redirect,
)

ORIGIN = "https://chat.example.org"
ONE_LOCATION = re.compile(
    rb"HTTP/1\.1 301 Moved Permanently\r\nLocation: https://chat\.example\.org(/[!-~]*)\r\n"
    rb"(?:[A-Z][A-Za-z-]+: [ -~]+\r\n)+\r\n"
)

pieces = st.sampled_from(
    [
        *(b"GET", b"HEAD", b"POST", b" ", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"\r\n\r\n"),
        *(b"/", b"..", b"%2e", b"http://", b"other.example.org", b"?", b"Host: other.example.org"),
        *(b"/.well-known/acme-challenge/", b"a-token", b"\x00", b"\xff", b"x" * 4096),
    ]
)
request_like = st.lists(pieces | st.binary(max_size=12), max_size=14).map(b"".join)
targets = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F), min_size=1, max_size=60)


def read(received: bytes) -> Request | None:
    try:
        return read_request(received)
    except RefusedRequestError as error:
        assert 400 <= error.status < 500  # noqa: PT017 - whether it is refused depends on the example
        return None


@given(request_like | st.binary(max_size=200))
def test_whatever_is_read_leads_to_one_place_of_our_own(received: bytes) -> None:
    request = read(received)
    if request is not None:
        assert ONE_LOCATION.fullmatch(write_redirect(request, ORIGIN)) is not None


@given(targets)
def test_no_token_leads_out_of_its_directory(target: str) -> None:
    request = read(f"GET /.well-known/acme-challenge/{target} HTTP/1.1\r\n\r\n".encode())
    token = None if request is None else find_token(request)

    assert not token or re.fullmatch(r"[A-Za-z0-9_-]+", token)


@given(request_like, st.integers(1, 50))
def test_a_request_is_the_same_however_it_is_cut(received: bytes, size: int) -> None:
    whole = read(received)
    cut = None
    for end in range(size, len(received) + size, size):
        cut = read(received[:end])
        if cut is not None:
            break

    assert cut == whole or len(received) > MAX_HEAD_BYTES
