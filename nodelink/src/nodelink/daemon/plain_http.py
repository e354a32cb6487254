"""Read and answer requests in plain HTTP: challenges of certificate authorities, and a redirect to HTTPS.

    GET or HEAD of /.well-known/acme-challenge/TOKEN ─▶ 200 with what is asked for, or 404
    any other request                                ─▶ 301 to the same target of our own origin
    a head that is too long, or no HTTP/1            ─▶ 431, 414 or 400

For: port 80 of control plane and mail nodes (plain_http_server.py).
Not for: connections and files, nor for what a client says of itself: no header is read, so none can lead the
redirect elsewhere.

Source: RFC 9112 sections 2.2 and 3, RFC 8555 section 8.3.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address

from nodelink.daemon.errors import HostError

MAX_HEAD_BYTES = 8192
MAX_TARGET_CHARACTERS = 2048
DEFAULT_HTTPS_PORT = 443

HEAD_END = re.compile(rb"\n\r?\n")
REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/1\.[01]\r?")
ABSOLUTE_FORM = re.compile(r"http://[^/?]*", re.IGNORECASE)
# What RFC 3986 lets into path and query: nothing that ends a header line.
TARGET = re.compile(r"/[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]*")
CHALLENGE = re.compile(r"/\.well-known/acme-challenge/(.*)")
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
ORIGIN = re.compile(r"https://[A-Za-z0-9._:\[\]-]+")


class BadOriginError(HostError):
    """The own address cannot stand in a redirect; the text says what to write."""


class RefusedRequestError(Exception):
    """What came in gets an error; `status` says which."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. `target` is path and query as the client wrote them, and begins with a slash."""

    method: str
    target: str


def read_request(received: bytes) -> Request | None:
    """Read a request from all that has come in; `None` while its head is not complete.

    Raises:
        RefusedRequestError: The head is over `MAX_HEAD_BYTES`, or is no request.
    """
    end = HEAD_END.search(received)
    if (len(received) if end is None else end.end() - 1) >= MAX_HEAD_BYTES:
        raise RefusedRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if end is None:
        return None
    line = REQUEST_LINE.fullmatch(received.partition(b"\n")[0])
    if line is None:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
    target = line[2].decode("ascii")
    if len(target) > MAX_TARGET_CHARACTERS:
        raise RefusedRequestError(HTTPStatus.REQUEST_URI_TOO_LONG)
    return Request(line[1].decode("ascii"), _to_origin_form(target))


def find_token(request: Request) -> str | None:
    """Find which challenge is asked for: "" for a token that is none, `None` if the request is for none."""
    challenge = CHALLENGE.fullmatch(request.target)
    if challenge is None or request.method not in {"GET", "HEAD"}:
        return None
    return challenge[1] if TOKEN.fullmatch(challenge[1]) else ""


def write_challenge(request: Request, content: bytes | None) -> bytes:
    """Write the answer to a challenge; `None` for one that is not here."""
    if content is None:
        return write_refusal(HTTPStatus.NOT_FOUND)
    return _write(HTTPStatus.OK, content, is_head=request.method == "HEAD")


def write_redirect(request: Request, origin: str) -> bytes:
    """Write the answer that leads to the same target of `origin`."""
    return _write(HTTPStatus.MOVED_PERMANENTLY, b"", f"Location: {origin}{request.target}")


def write_refusal(status: HTTPStatus) -> bytes:
    """Write an answer without content."""
    return _write(status, b"")


def write_origin(host: str, https_port: int) -> str:
    """Write the origin of a host, which is a name or an address without brackets."""
    try:
        is_ipv6 = ip_address(host).version == 6
    except ValueError:
        is_ipv6 = False
    port = "" if https_port == DEFAULT_HTTPS_PORT else f":{https_port}"
    return f"https://[{host}]{port}" if is_ipv6 else f"https://{host}{port}"


def check_origin(origin: str) -> str:
    """Return an origin that a redirect can name.

    Raises:
        BadOriginError: It has characters that no host name has.
    """
    if not ORIGIN.fullmatch(origin):
        raise BadOriginError(f"Port 80 cannot lead to {origin}. Write the host's name in ASCII, as xn--….")
    return origin


def _to_origin_form(target: str) -> str:
    """Take scheme and authority off a target: whoever they name, we answer for ourselves."""
    absolute = ABSOLUTE_FORM.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else f"/{target}"
    if not TARGET.fullmatch(target):
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST)
    return target


def _write(status: HTTPStatus, content: bytes, *headers: str, is_head: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *headers,
        "Content-Type: text/plain",
        f"Content-Length: {len(content)}",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    return head.encode("ascii") + (b"" if is_head else content)
