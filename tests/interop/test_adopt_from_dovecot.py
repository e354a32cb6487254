"""A chat relay's mail, made by a real Dovecot, comes over: apps see on the node what they saw before."""

import imaplib
import os
import re
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from mailnode.store.checking import check_store
from support.dovecot import HOST, Dovecot, running_dovecot
from support.foreign_servers import PASSWORD, SHA512_CRYPT
from support.mailnode_process import PROGRAM, running_node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DOMAIN = "example.org"
ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice123", "bob12345", "carol123"))
LONG_AGO = 1_500_000_000
TLS = ssl._create_unverified_context()  # noqa: S323, SLF001 - the certificate is self-signed
_NAME = re.compile(rb'\(([^)]*)\) "([./])" "?([^"]+)"?')
_FETCHED = re.compile(
    rb'\d+ \(UID (\d+) FLAGS \(([^)]*)\) INTERNALDATE ("[^"]+") RFC822.SIZE (\d+) BODY\[\] \{\d+\}'
)


@dataclass(frozen=True)
class Letter:
    """A message as an app sees it."""

    flags: frozenset[bytes]
    arrived_at_seconds: float
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Box:
    """A mailbox as an app sees it; messages by their UID."""

    uid_validity: int
    uid_next: int
    is_subscribed: bool
    letters: dict[int, Letter]


def write_letter(number: int, fill: bytes = b"") -> bytes:
    head = f"From: <{BOB}>\r\nMessage-ID: <{number}@{DOMAIN}>\r\nSubject: ...\r\n\r\n".encode()
    return head + f".{number} is behind a dot\r\n".encode() + fill + b"Gr\xc3\xbc\xc3\x9fe\r\n"


def fill_store(dovecot: Dovecot) -> None:
    """Let three people use it: one much, one who has mail and never came back, one who has none."""
    for address in (ALICE, BOB, CAROL):
        dovecot.add_account(address, SHA512_CRYPT)
    for number in range(1, 8):
        dovecot.deliver(ALICE, write_letter(number, b"x" * 70 * (number == 3) + b"y" * 72 + b"\r\n"))
    dovecot.deliver(ALICE, write_letter(8, (os.urandom(36).hex().encode() + b"\r\n") * 4_000))
    dovecot.deliver(BOB, write_letter(21))
    with logged_in(imaplib.IMAP4(HOST, dovecot.imap), ALICE) as app:
        expect(app.select("INBOX"))
        for uids, flags in (
            ("1", r"(\Seen)"),
            ("2", r"(\Seen \Answered $Forwarded)"),
            ("5", r"(\Flagged $Label1 $Forwarded)"),
            ("4,7", r"(\Deleted)"),
        ):
            expect(app.uid("STORE", uids, "+FLAGS", flags))
        for name in ("DeltaChat", "Archive.2024", "M&APw-ll"):
            expect(app.create(name))
        for name in ("DeltaChat", "Archive.2024", "M&APw-ll"):
            expect(app.subscribe(name))
        expect(app.uid("COPY", "1:3", "DeltaChat"))
        arrived = imaplib.Time2Internaldate(LONG_AGO)
        expect(app.append("Archive.2024", r"(\Draft \Seen)", arrived, write_letter(9)))
        expect(app.expunge())
        expect(app.uid("STORE", "6", "+FLAGS", r"(\Deleted)"))
    dovecot.deliver(ALICE, write_letter(10))  # nobody has seen this one yet


def test_apps_see_on_the_node_what_they_saw_on_the_relay(tmp_path: Path) -> None:
    with running_dovecot() as dovecot:
        fill_store(dovecot)

        rehearsed = adopt(tmp_path, dovecot.find_domain(DOMAIN))
        assert not (tmp_path / "state").exists()
        adopted = adopt(tmp_path, dovecot.find_domain(DOMAIN), "--go")

        before = {address: look(imaplib.IMAP4(HOST, dovecot.imap), address) for address in (ALICE, BOB)}

    assert "3 accounts with 12 messages" in rehearsed
    assert "3 accounts with 12 messages" in adopted
    assert check_store(tmp_path / "state/mail").faults == ()
    with running_node(tmp_path, MAIL_DOMAIN=DOMAIN) as node:
        port = node.ports["IMAP_TLS_PORT"]
        for address, boxes in before.items():
            assert look(imaplib.IMAP4_SSL(HOST, port, ssl_context=TLS), address) == boxes
        assert look(imaplib.IMAP4_SSL(HOST, port, ssl_context=TLS), CAROL).keys() == {"INBOX"}
        with (
            imaplib.IMAP4_SSL(HOST, port, ssl_context=TLS) as stranger,
            pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
        ):
            stranger.login(ALICE, "another password")
    inbox = before[ALICE]["INBOX"]
    assert sorted(inbox.letters) == [1, 2, 3, 5, 6, 8, 9]
    assert inbox.uid_next == 10
    assert inbox.letters[5].flags == {rb"\Flagged", b"$Label1", b"$Forwarded"}
    assert before[ALICE]["Archive/2024"].letters[1].arrived_at_seconds == LONG_AGO


def adopt(directory: Path, source: Path, *words: str) -> str:
    """Run `mailnode adopt`; return what it says."""
    settings = {
        "STATE_DIRECTORY": directory / "state",
        "RUNTIME_DIRECTORY": directory / "run",
        "MAIL_DOMAIN": DOMAIN,
        "TLS_CERTIFICATE": directory / "tls.crt",
        "TLS_KEY": directory / "tls.key",
        "SUPPORT_CONTACT": "mailto:admin@example.org",
    }
    environment = os.environ | {f"MAILNODE_{name}": str(value) for name, value in settings.items()}
    command = [str(PROGRAM), "adopt", "relay", str(source), *words]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def look(app: imaplib.IMAP4, address: str) -> dict[str, Box]:
    """Read all that an app can see of an account, by mailbox; `/` separates levels."""
    with logged_in(app, address):
        subscribed = set(list_names(app.lsub()))
        return {
            plain: look_into(app, name, is_subscribed=plain in subscribed)
            for plain, name in list_names(app.list()).items()
        }


def look_into(app: imaplib.IMAP4, name: str, *, is_subscribed: bool) -> Box:
    expect(app.select(f'"{name}"', readonly=True))
    uid_validity, uid_next = (int(app.response(code)[1][0]) for code in ("UIDVALIDITY", "UIDNEXT"))
    found = expect(app.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    letters = {}
    for part in found:
        if isinstance(part, tuple):
            head = _FETCHED.fullmatch(part[0])
            assert head is not None, part[0]
            arrived = imaplib.Internaldate2tuple(b"INTERNALDATE " + head[3])
            assert arrived is not None
            letters[int(head[1])] = Letter(
                frozenset(head[2].split()) - {rb"\Recent"},
                time.mktime(arrived),
                int(head[4]),
                sha256(part[1]).hexdigest(),
            )
    return Box(uid_validity, uid_next, is_subscribed, letters)


def list_names(answer: tuple[str, Sequence[object]]) -> dict[str, str]:
    """Read the names of mailboxes: as all servers could write them, and as this one does."""
    names = {}
    for line in expect(answer):
        match = _NAME.fullmatch(line) if isinstance(line, bytes) else None
        if match is not None and b"\\NoSelect" not in match[1] and b"\\Noselect" not in match[1]:
            name = match[3].decode()
            names[name.replace(match[2].decode(), "/")] = name
    return names


def expect(answer: tuple[str, Sequence[object]]) -> Sequence[object]:
    assert answer[0] == "OK", answer
    return answer[1]


@contextmanager
def logged_in(app: imaplib.IMAP4, address: str) -> Iterator[imaplib.IMAP4]:
    with app:
        app.login(address, PASSWORD)
        yield app
