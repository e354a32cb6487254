"""Push a message to an exchanger that passes it on, fetch it from the one where it waits, and try what is refused."""

import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from base64 import b64decode

PUSHED_TO, FETCHED_FROM = "https://_exchanger2.test:8443", "https://_exchanger1.test"
SOON_SECONDS = 20
MAIL = """From: <zephyrine@strangers.example>\r
Message-ID: <wanderlust@localhost>\r
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"\r
\r
--b\r
Content-Type: application/pgp-encrypted\r
\r
Version: 1\r
\r
--b\r
Content-Type: application/octet-stream\r
\r
-----BEGIN PGP MESSAGE-----\r
\r
wy4ECQMIY4vdQxuD1Zv/ijkBsNLYCGQr00SrYZxz8itRaetoXwt0G5gO8X/0oVbk\r
0jgBwQw8X/L7hetVirqQiwNyAefokiOmWAVma5C0BCnHG99Ueoe4crDxxmdistkN\r
G9kF0yrkfBnbqA==\r
-----END PGP MESSAGE-----\r
\r
--b--\r
""".encode()


def ask(
    url: str, content: bytes | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[int, bytes]:
    """Ask by TLS that is verified; return status and answer."""
    context = ssl.create_default_context(cafile=sys.argv[1])
    request = urllib.request.Request(url, content, dict(headers))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def push(message: bytes, recipient: str) -> int:
    """Hand a message over."""
    headers = (("X-Mail-From", "zephyrine@strangers.example"), ("X-Mail-To", recipient))
    return ask(PUSHED_TO + "/mxdeliv", message, headers)[0]


def expect(what: str, *, is_so: bool) -> None:
    """End with what is not so."""
    if not is_so:
        sys.exit(f"not so: {what}")


def main() -> None:
    """Do all of it."""
    right = (("Authorization", f"Bearer {sys.argv[2]}"),)
    pull = FETCHED_FROM + "/pull?domain=kept.example"
    expect(
        "clear text is refused",
        is_so=push(b"From: a@b.example\r\n\r\ntext\r\n", "quixotica@kept.example") == 403,
    )
    expect("other domains are refused", is_so=push(MAIL, "quixotica@strangers.example") == 403)
    expect("what is too large is refused", is_so=push(MAIL + b"x" * 65_536, "quixotica@kept.example") == 413)
    expect(
        "a wrong token is refused", is_so=ask(pull, headers=(("Authorization", "Bearer mfx_x"),))[0] == 401
    )
    expect("nothing waits yet", is_so=json.loads(ask(pull, headers=right)[1])["messages"] == [])

    expect("a message is taken", is_so=push(MAIL, "quixotica@kept.example") == 200)
    give_up_at = time.monotonic() + SOON_SECONDS
    while not (waiting := json.loads(ask(pull, headers=right)[1])["messages"]):
        expect("it is passed on", is_so=time.monotonic() < give_up_at)
        time.sleep(0.2)
    expect("it is as it was", is_so=b64decode(waiting[0]["body"]) == MAIL)
    ids = json.dumps({"ids": [waiting[0]["id"]]}).encode()
    expect(
        "it is acknowledged",
        is_so=json.loads(ask(FETCHED_FROM + "/pull/ack", ids, right)[1])["acknowledged"] == 1,
    )
    expect("it is gone", is_so=json.loads(ask(pull, headers=right)[1])["messages"] == [])


main()
