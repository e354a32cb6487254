"""The tags of a DKIM-Signature field.

For: signing and verification; pure functions.
Not for: whether a signature holds (verification.py).

Source: RFC 6376 sections 3.2 and 3.5; RFC 8301 section 3.1; RFC 8463.
"""

import re
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mailnode.dkim.canonical_form import Form
from mailnode.dkim.errors import MalformedError

MAX_TAG_LIST_BYTES = 16_384
MAX_SIGNED_NAMES = 500
CLOCK_SKEW_SECONDS = 36_000
"""Clocks of others may be wrong by hours; dkimpy allows as much."""

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMBER = re.compile(rb"[0-9]{1,12}")
_LENGTH = re.compile(rb"[0-9]{1,76}")
_BLANKS = re.compile(rb"[ \t\r\n]+")
_SIGNED_NAME = re.compile(rb"[!-9<-~]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
MAX_DOMAIN_LENGTH = 253


class Algorithm(StrEnum):
    """What signs. SHA-1 is none any more (RFC 8301)."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as its tags say. `body_length` is `None` where all of the body counts."""

    algorithm: Algorithm
    domain: str
    selector: str
    header_form: Form
    body_form: Form
    names: tuple[bytes, ...]
    body_hash: bytes
    value: bytes
    body_length: int | None

    @classmethod
    def parse(cls, field_value: bytes, now_seconds: float) -> Self:
        """Read a field's value.

        Raises:
            MalformedError: It is no signature, of an algorithm that does not count, or not valid now.
        """
        tags = read_tags(field_value)
        if tags.get(b"v") != b"1":
            raise MalformedError("the version is not 1")
        if tags.get(b"q", b"dns/txt") != b"dns/txt":
            raise MalformedError("its key is not in the DNS")
        domain = read_domain(tags.get(b"d", b""))
        _check_identity(tags, domain)
        _check_times(tags, now_seconds)
        header_form, body_form = _read_forms(tags.get(b"c", b"simple/simple"))
        try:
            algorithm = Algorithm(tags.get(b"a", b"").decode("ascii", "replace"))
        except ValueError as error:
            raise MalformedError("the algorithm does not count") from error
        return cls(
            algorithm,
            domain,
            read_domain(tags.get(b"s", b"")),
            header_form,
            body_form,
            _read_names(tags.get(b"h", b"")),
            read_base64(tags.get(b"bh", b"")),
            read_base64(tags.get(b"b", b"")),
            _read_length(tags.get(b"l")),
        )

    @property
    def key_name(self) -> str:
        """The name whose TXT record holds the key."""
        return f"{self.selector}._domainkey.{self.domain}"


def read_tags(value: bytes) -> Mapping[bytes, bytes]:
    """Read a list of tags.

    Raises:
        MalformedError: It is none, or has a tag twice.
    """
    if len(value) > MAX_TAG_LIST_BYTES:
        raise MalformedError("the tags are too long")
    tags: dict[bytes, bytes] = {}
    pieces = value.strip(b" \t\r\n").split(b";")
    if not pieces[-1].strip(b" \t\r\n"):
        pieces.pop()
    for piece in pieces:
        name, equals, content = piece.partition(b"=")
        name = name.strip(b" \t\r\n")
        if not equals or not _NAME.fullmatch(name) or name in tags:
            raise MalformedError("a tag is none, or there twice")
        tags[name] = content.strip(b" \t\r\n")
    return tags


def cut_value_out(field_value: bytes) -> bytes:
    """Empty the tag `b=`, and leave everything else as it stands. Source: RFC 6376 section 3.7."""
    pieces = field_value.split(b";")
    for position, piece in enumerate(pieces):
        name, equals, _ = piece.partition(b"=")
        if equals and name.strip(b" \t\r\n") == b"b":
            pieces[position] = name + equals
            break
    return b";".join(pieces)


def read_domain(text: bytes) -> str:
    """Read a domain or selector, into lower case. Raises: MalformedError."""
    try:
        name = text.decode("ascii").lower()
    except UnicodeDecodeError as error:
        raise MalformedError("a domain has characters that are not ASCII") from error
    if not _DOMAIN.fullmatch(name) or len(name) > MAX_DOMAIN_LENGTH:
        raise MalformedError("a domain or selector is none")
    return name


def read_base64(text: bytes) -> bytes:
    """Read base64 that may be folded. Raises: MalformedError."""
    packed = _BLANKS.sub(b"", text)
    try:
        if not _BASE64.fullmatch(packed):
            raise MalformedError("the base64 is none")
        return b64decode(packed, validate=True)
    except BinasciiError as error:
        raise MalformedError("the base64 is none") from error


def _read_forms(text: bytes) -> tuple[Form, Form]:
    head, slash, body = text.partition(b"/")
    try:
        return Form(head.decode("ascii", "replace")), Form(
            body.decode("ascii", "replace") if slash else Form.SIMPLE
        )
    except ValueError as error:
        raise MalformedError("the canonical form is none") from error


def _read_names(text: bytes) -> tuple[bytes, ...]:
    names = tuple(name.strip(b" \t\r\n").lower() for name in text.split(b":"))
    if len(names) > MAX_SIGNED_NAMES or not all(map(_SIGNED_NAME.fullmatch, names)):
        raise MalformedError("the names of the signed fields are none")
    if b"from" not in names:
        raise MalformedError("From is not signed")
    return names


def _read_length(text: bytes | None) -> int | None:
    if text is None:
        return None
    if not _LENGTH.fullmatch(text):
        raise MalformedError("the length is no number")
    return int(text)


def _check_identity(tags: Mapping[bytes, bytes], domain: str) -> None:
    identity = tags.get(b"i")
    if identity is None:
        return
    owner = identity.rpartition(b"@")[2].decode("ascii", "replace").lower()
    if b"@" not in identity or (owner != domain and not owner.endswith(f".{domain}")):
        raise MalformedError("the identity is not of the domain")


def _check_times(tags: Mapping[bytes, bytes], now_seconds: float) -> None:
    times = {}
    for name in (b"t", b"x"):
        if name in tags:
            if not _NUMBER.fullmatch(tags[name]):
                raise MalformedError("a time is no number")
            times[name] = int(tags[name])
    if times.get(b"t", 0) > now_seconds + CLOCK_SKEW_SECONDS:
        raise MalformedError("it is of the future")
    if b"x" in times and times[b"x"] < max(now_seconds - CLOCK_SKEW_SECONDS, times.get(b"t", 0)):
        raise MalformedError("it has expired")
