"""Decide whether a message is of the domain that its From field names.

    no DKIM-Signature ─▶ NoSignatureError
    those whose d= is exactly the domain of From, five at most ─▶ body ─▶ key ─▶ signature: one holds
    none holds ─▶ NoValidSignatureError       a key could not be looked up ─▶ KeyUnavailableError

For: mail from servers that are not of this fleet.
Not for: SPF, DMARC or reputation: nothing else than a signature counts.

A signature over a part of the body (`l=`) does not hold: whatever follows could be added by anybody.
Source: RFC 6376 section 6.
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest

from mailnode.dkim.canonical_form import write_body, write_field
from mailnode.dkim.errors import (
    KeyUnavailableError,
    MalformedError,
    NoSignatureError,
    NoValidSignatureError,
)
from mailnode.dkim.fields import Field, Parts, choose_fields, split_message
from mailnode.dkim.public_key import PublicKey, is_signed_by, read_key_record
from mailnode.dkim.signature import Algorithm, Signature, cut_value_out

MAX_SIGNATURES = 5
MAX_RECORDS = 3
REMEMBERED_KEYS = 500
LARGE_BODY_BYTES = 262_144
"""From here on, a body is hashed in a thread."""
FIELD_NAME = b"dkim-signature"

Candidate = tuple[Field, Signature, Parts]

LookUp = Callable[[str], Awaitable[list[bytes]]]
"""Look the TXT records of a name up, each put together. Raises: KeyUnavailableError."""


async def verify(message: bytes, domain: str, look_up: LookUp, now_seconds: float) -> Signature:
    """Find a signature of a domain (in lower case) that holds.

    Raises:
        NoSignatureError, NoValidSignatureError, KeyUnavailableError: There is none.
    """
    candidates = find_candidates(message, domain, now_seconds)
    problem: Exception = NoValidSignatureError("no signature is of the domain of From")
    for field, signature, parts in candidates:
        try:
            if len(parts.body) > LARGE_BODY_BYTES:
                await to_thread(check_body, signature, parts)
            else:
                check_body(signature, parts)
            records = await look_up(signature.key_name)
            _check_signature(signature, field, parts, records)
        except MalformedError as error:
            if not isinstance(problem, KeyUnavailableError):
                problem = NoValidSignatureError(str(error))
        except KeyUnavailableError as error:
            problem = error
        else:
            return signature
    raise problem


def find_candidates(message: bytes, domain: str, now_seconds: float) -> Iterator[Candidate]:
    """Find the signatures that may prove that a message is of a domain; each is read when it is asked for.

    Raises:
        NoSignatureError: There is none at all.
        NoValidSignatureError: The header cannot be read, or has not exactly one From.
    """
    try:
        parts = split_message(message)
    except MalformedError as error:
        raise NoValidSignatureError(str(error)) from error
    fields = parts.find(FIELD_NAME)
    if not fields:
        raise NoSignatureError("no signature")
    if len(parts.find(b"from")) != 1:
        raise NoValidSignatureError("there is not exactly one From")
    return _read_candidates(fields, domain, parts, now_seconds)


def _read_candidates(
    fields: Sequence[Field], domain: str, parts: Parts, now_seconds: float
) -> Iterator[Candidate]:
    count = 0
    for field in fields:
        try:
            signature = Signature.parse(field.value, now_seconds)
        except MalformedError:
            continue
        if signature.domain == domain and count < MAX_SIGNATURES:
            count += 1
            yield field, signature, parts


def check_body(signature: Signature, parts: Parts) -> None:
    """Check that the body is the one that was signed, all of it. Raises: MalformedError."""
    body = write_body(parts.body, signature.body_form)
    if signature.body_length is not None and signature.body_length != len(body):
        raise MalformedError("a part of the body is signed only")
    if not compare_digest(sha256(body).digest(), signature.body_hash):
        raise MalformedError("the body is another one")


def hash_header(signature: Signature, field: Field, parts: Parts) -> bytes:
    """Hash the signed fields, and the signature's own without its value. Source: RFC 6376 section 3.7."""
    signed = choose_fields(parts.fields, signature.names)
    lines = [write_field(each, signature.header_form) + b"\r\n" for each in signed]
    own = Field(field.name, field.raw_name, cut_value_out(field.value))
    return sha256(b"".join(lines) + write_field(own, signature.header_form)).digest()


@lru_cache(REMEMBERED_KEYS)
def _read_key(record: bytes, algorithm: Algorithm) -> PublicKey:
    """Read a key, which a busy server shows with each message. Raises: MalformedError."""
    return read_key_record(record, algorithm)


def _check_signature(signature: Signature, field: Field, parts: Parts, records: list[bytes]) -> None:
    digest = hash_header(signature, field, parts)
    problem = MalformedError("there is no key")
    for record in records[:MAX_RECORDS]:
        try:
            key = _read_key(record, signature.algorithm)
        except MalformedError as error:
            problem = error
            continue
        if is_signed_by(key, digest, signature.value):
            return
        problem = MalformedError("the key has not signed this")
    raise problem
