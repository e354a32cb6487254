"""Mails that dkimpy has signed, ways to change them, and what dkimpy says of the result."""

import logging
import random
import re
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mailnode.dkim.errors import KeyUnavailableError
from mailnode.dkim.key_ring import write_key_record
from mailnode.dkim.signing import SigningKey

DOMAIN = "example.org"
BODY = b"Hello,  this is\ta body  \r\n\t with blanks \r\n\r\nand an ending.\r\n\r\n"
BROKEN_BODY = b"CR\rin \r\rlines\r\r\n \r \r\n\r"
"""What mail must not have, and what is hashed as it stands."""
HEADER = (
    b"Received: from a.example.net\r\n"
    b"From: Alice <alice1234@example.org>\r\n"
    b"To: hidden-recipients:;\r\n"
    b"Subject: [...]\r\n"
    b"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"X-Long: one  two\r\n\tthree\r\n"
    b"\r\n"
)
MESSAGE = HEADER + BODY
SHAPES = [(header, body) for header in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]

logging.getLogger("dkimpy").addHandler(logging.NullHandler())
logging.getLogger("dkimpy").propagate = False


@cache
def keys() -> tuple[SigningKey, ...]:
    rsa = generate_private_key(65_537, 1024)  # noqa: S505 - what is quick in tests
    return SigningKey("rsa1", rsa), SigningKey("ed1", Ed25519PrivateKey.generate())


def records() -> dict[str, bytes]:
    return {f"{key.selector}._domainkey.{DOMAIN}": write_key_record(key).encode() for key in keys()}


async def look_up(name: str) -> list[bytes]:
    record = records().get(name)
    return [] if record is None else [record]


async def look_up_in_vain(name: str) -> list[bytes]:
    raise KeyUnavailableError(name)


def sign_by_oracle(message: bytes, shape: tuple[bytes, bytes], key: SigningKey, **options: object) -> bytes:
    """Sign as dkimpy does, and return the whole mail."""
    private = key.private_key
    if key.selector.startswith("ed"):
        secret = b64encode(private.private_bytes_raw())  # type: ignore[union-attr] # an Ed25519 key, by its selector
        algorithm = b"ed25519-sha256"
    else:
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        algorithm = b"rsa-sha256"
    field: bytes = dkim.DKIM(message).sign(
        key.selector.encode(), DOMAIN.encode(), secret, algorithm, canonicalize=shape, **options
    )
    return field + message


def ask_oracle(mail: bytes, names: dict[str, bytes] | None = None, domain: str = DOMAIN) -> bool:
    """Tell whether any of the signatures of a domain holds, as dkimpy judges."""
    known = records() if names is None else names

    def get_text(name: bytes, timeout: int = 5) -> bytes | None:
        del timeout
        return known.get(name.decode("ascii", "replace").rstrip(".").lower())

    try:
        judge = dkim.DKIM(mail)
    except (dkim.DKIMException, IndexError):  # the latter of a mail that begins with a blank
        return False
    count = sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)
    for index in range(min(count, 5)):
        try:
            if judge.verify(idx=index, dnsfunc=get_text) and judge.domain.lower() == domain.encode():
                return True
        except (dkim.DKIMException, ValueError, IndexError, KeyError, AssertionError):
            continue
    return False


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mail that was changed, and how."""

    mail: bytes
    story: tuple[str, ...]


def mutate(mail: bytes, draw: random.Random) -> Mutation:
    """Change a mail once to three times."""
    story = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        change = draw.choice(CHANGES)
        mail = change(mail, draw)
        story.append(change.__name__)
    return Mutation(mail, tuple(story))


def flip_octet(mail: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(mail))
    return mail[:at] + bytes([draw.choice((draw.randrange(32, 127), mail[at] ^ 0x20))]) + mail[at + 1 :]


def drop_octet(mail: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(mail))
    return mail[:at] + mail[at + 1 :]


def add_blank(mail: bytes, draw: random.Random) -> bytes:
    blanks = [match.end() for match in re.finditer(rb"[ \t:;=]", mail)] or [0]
    at = draw.choice(blanks)
    return mail[:at] + draw.choice((b" ", b"\t", b"  ")) + mail[at:]


def fold_line(mail: bytes, draw: random.Random) -> bytes:
    blanks = [match.start() for match in re.finditer(rb"[ \t]", mail)] or [0]
    at = draw.choice(blanks)
    return mail[:at] + b"\r\n" + mail[at:]


def unfold_line(mail: bytes, draw: random.Random) -> bytes:
    folds = [match.start() for match in re.finditer(rb"\r\n(?=[ \t])", mail)]
    if not folds:
        return mail
    at = draw.choice(folds)
    return mail[:at] + mail[at + 2 :]


def change_line_end(mail: bytes, draw: random.Random) -> bytes:
    ends = [match.start() for match in re.finditer(rb"\r\n", mail)] or [0]
    at = draw.choice(ends)
    return mail[:at] + draw.choice((b"\r", b"\n", b"\r\r\n", b"\n\r")) + mail[at + 2 :]


def change_all_line_ends(mail: bytes, draw: random.Random) -> bytes:
    header, empty, body = mail.partition(b"\r\n\r\n")
    bare = body.replace(b"\r\n", draw.choice((b"\r", b"\n")))
    return draw.choice((header + empty + bare, mail.replace(b"\r\n", b"\n")))


def add_line_end(mail: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(mail) + 1)
    return mail[:at] + draw.choice((b"\r", b"\n", b"\r\n")) + mail[at:]


def end_with_lines(mail: bytes, draw: random.Random) -> bytes:
    return mail + b"\r\n" * draw.randrange(1, 4)


def end_without_line(mail: bytes, draw: random.Random) -> bytes:
    del draw
    return mail.removesuffix(b"\r\n")


def append_text(mail: bytes, draw: random.Random) -> bytes:
    return mail + draw.choice((b"more\r\n", b" \r\n", b"\t", b"."))


def add_field(mail: bytes, draw: random.Random) -> bytes:
    field = draw.choice(
        (b"Subject: other", b"From: eve@example.net", b"X-New: 1", b"To: bob", b"Received: x")
    )
    return field + b"\r\n" + mail


def swap_fields(mail: bytes, draw: random.Random) -> bytes:
    header, empty, body = mail.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    one, other = draw.randrange(len(fields)), draw.randrange(len(fields))
    fields[one], fields[other] = fields[other], fields[one]
    return b"\r\n".join(fields) + empty + body


def drop_field(mail: bytes, draw: random.Random) -> bytes:
    header, empty, body = mail.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    if len(fields) > 1:
        del fields[draw.randrange(len(fields))]
    return b"\r\n".join(fields) + empty + body


def change_case(mail: bytes, draw: random.Random) -> bytes:
    names = list(re.finditer(rb"(?m)^[A-Za-z-]+(?=:)", mail))
    if not names:
        return mail
    name = draw.choice(names)
    return mail[: name.start()] + name[0].swapcase() + mail[name.end() :]


def change_tag(mail: bytes, draw: random.Random) -> bytes:
    tags = list(re.finditer(rb"(?<=[ ;\t\n])(?:v|a|c|d|s|h|i|q|t)=[^;]*", mail[:1500]))
    if not tags:
        return mail
    tag = draw.choice(tags)
    value = draw.choice(
        (
            b"",
            b"1",
            b"2",
            b"rsa-sha256",
            b"ed25519-sha256",
            b"relaxed/relaxed",
            b"simple",
            b"relaxed",
            b"EXAMPLE.org",
            b"example.net",
            b"rsa1",
            b"ed1",
            b"from",
            b"From:Subject",
            b"from : to",
            b"@example.org",
            b"@a.example.org",
            b"dns/txt",
            b"0",
            b"9999999999",
            b"eve@example.net",
        )
    )
    return mail[: tag.start() + 2] + value + mail[tag.end() :]


def add_tag(mail: bytes, draw: random.Random) -> bytes:
    at = mail.find(b"v=1;")
    tag = draw.choice(
        (
            b"x=9999999999;",
            b"x=1;",
            b"l=5;",
            b"z=From;",
            b"n=note;",
            b"v=1;",
            b"q=dns/txt;",
            b"=;",
            b";",
            b"g;",
        )
    )
    return mail if at < 0 else mail[:at] + tag + b" " + mail[at:]


def repeat_signature(mail: bytes, draw: random.Random) -> bytes:
    field = re.match(rb"(?is)DKIM-Signature:.*?\r\n(?![ \t])", mail)
    if field is None:
        return mail
    spoilt = field[0].replace(b"bh=", draw.choice((b"bh=A", b"bh=", b"bh")), 1)
    return spoilt + mail


def leave_alone(mail: bytes, draw: random.Random) -> bytes:
    del draw
    return mail


CHANGES = [
    flip_octet,
    drop_octet,
    add_blank,
    fold_line,
    unfold_line,
    change_line_end,
    change_all_line_ends,
    add_line_end,
    end_with_lines,
    end_without_line,
    append_text,
    add_field,
    swap_fields,
    drop_field,
    change_case,
    change_tag,
    add_tag,
    repeat_signature,
    leave_alone,
]


@cache
def signed_mails() -> Sequence[bytes]:
    """One of each kind: both keys, both forms, with and without a length, bare CRs, or a body."""
    plain = [sign_by_oracle(MESSAGE, shape, key) for shape in SHAPES for key in keys()]
    measured = [sign_by_oracle(MESSAGE, shape, key, length=True) for shape in SHAPES for key in keys()]
    bare = [sign_by_oracle(HEADER, shape, key) for shape in SHAPES for key in keys()]
    broken = [sign_by_oracle(HEADER + BROKEN_BODY, shape, key) for shape in SHAPES for key in keys()]
    return [*plain, *measured, *bare, *broken]


def now() -> float:
    return time.time()
