"""Signatures of others, and ours as others see them."""

import asyncio
from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailnode.dkim.canonical_form import Form, write_body
from mailnode.dkim.errors import (
    KeyUnavailableError,
    MalformedError,
    NoSignatureError,
    NoValidSignatureError,
)
from mailnode.dkim.key_ring import write_key_record
from mailnode.dkim.public_key import MAX_RECORD_BYTES, read_key_record
from mailnode.dkim.signature import CLOCK_SKEW_SECONDS, Algorithm, Signature
from mailnode.dkim.signing import SigningKey, write_signatures
from mailnode.dkim.verification import verify
from support.dkim_mails import (
    DOMAIN,
    HEADER,
    MESSAGE,
    SHAPES,
    ask_oracle,
    keys,
    look_up,
    look_up_in_vain,
    now,
    records,
    sign_by_oracle,
)

# The example of RFC 6376 appendix A with the keys of RFC 8463 appendix A, as dkimpy's own tests have it.
RFC_RECORDS = {
    "brisbane._domainkey.football.example.com": (
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ),
    "test._domainkey.football.example.com": (
        b"v=DKIM1; g=*; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3id"
        b"Y6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHv"
        b"qMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
    ),
}
ED25519_FIELD = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; \r\n"
    b" d=football.example.com; i=@football.example.com; \r\n"
    b" q=dns/txt; s=brisbane; t=1518460054; h=from : to : \r\n"
    b" subject : date : message-id : from : subject : date; \r\n"
    b" bh=4bLNXImK9drULnmePzZNEBleUanJCX5PIsDIFoH4KTQ=; \r\n"
    b" b=9/dsDChY0YMTtD5Eyw3wx7x22BlSJP7M5ECbJ7GWrR45nXlTCGb8l0YB\r\n"
    b" o0wBLR++X5LqmsxXaOYLLJe46l10AQ==\r\n"
)
RSA_FIELD = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; \r\n"
    b" d=football.example.com; i=@football.example.com; \r\n"
    b" q=dns/txt; s=test; t=1527915362; h=from : to : subject : \r\n"
    b" date : message-id : from : subject : date; \r\n"
    b" bh=4bLNXImK9drULnmePzZNEBleUanJCX5PIsDIFoH4KTQ=; \r\n"
    b" b=icKcLSEZYXJ95flvWE8FT6hl5iqd8MC/LEKYH0QjsqYy6MO/4pgVNCZH\r\n"
    b" l/RAXAuADxE/40Fg7uTlxwwD1hjN2Ple6J//cJfslBdDOq6zTVbne1dqtl\r\n"
    b" NOat7iamJ1AfRqyG+ja7a2AZsrpUuJ7VA6O+0zRYPqpwMEkEFIzI9i/Xk=\r\n"
)
RFC_MESSAGE = (
    b"From: Joe SixPack <joe@football.example.com>\r\n"
    b"To: Suzie Q <suzie@shopping.example.net>\r\n"
    b"Subject: Is dinner ready?\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    b"\r\n"
    b"Hi.\r\n"
    b"\r\n"
    b"We lost the game.  Are you hungry yet?\r\n"
    b"\r\n"
    b"Joe.\r\n"
)


async def look_up_rfc(name: str) -> list[bytes]:
    return [RFC_RECORDS[name]]


def check(mail: bytes, domain: str = DOMAIN, **changes: object) -> Signature:
    arguments = {"look_up": look_up, "now_seconds": now()} | changes
    return asyncio.run(verify(mail, domain, **arguments))  # type: ignore[arg-type] # a test may say anything


@pytest.mark.parametrize("field", [ED25519_FIELD, RSA_FIELD, RSA_FIELD + ED25519_FIELD])
def test_the_example_of_the_rfcs_verifies(field: bytes) -> None:
    signature = check(field + RFC_MESSAGE, "football.example.com", look_up=look_up_rfc)
    assert signature.domain == "football.example.com"


def test_the_example_of_the_rfcs_is_nobody_elses() -> None:
    with pytest.raises(NoValidSignatureError, match="of the domain of From"):
        check(RSA_FIELD + RFC_MESSAGE, "example.com", look_up=look_up_rfc)
    with pytest.raises(NoValidSignatureError):
        check(RSA_FIELD + RFC_MESSAGE.replace(b"lost", b"won "), "football.example.com", look_up=look_up_rfc)


@pytest.mark.parametrize(
    "message", [MESSAGE, HEADER, MESSAGE.removesuffix(b"\r\n"), HEADER + b"\r\n \r\n\r\n"]
)
def test_what_we_sign_verifies_here_and_with_dkimpy(message: bytes) -> None:
    for chosen in (keys(), keys()[:1], keys()[1:]):
        mail = write_signatures(message, DOMAIN, chosen, now()) + message
        assert ask_oracle(mail)
        check(mail)
        assert max(map(len, mail.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 100


def test_each_signature_of_ours_holds_alone_with_dkimpy() -> None:
    field = write_signatures(MESSAGE, DOMAIN, keys(), now())
    for name, record in records().items():
        assert ask_oracle(field + MESSAGE, {name: record})
    assert not ask_oracle(field + MESSAGE, {})


@pytest.mark.parametrize(
    "added", [b"From: eve@example.net\r\n", b"Subject: other\r\n", b"Content-Type: text/html\r\n"]
)
def test_nobody_can_add_what_an_app_shows(added: bytes) -> None:
    mail = write_signatures(MESSAGE, DOMAIN, keys(), now()) + MESSAGE
    with pytest.raises(NoValidSignatureError):
        check(added + mail)


def test_a_mail_without_signature_is_told_apart() -> None:
    with pytest.raises(NoSignatureError) as refusal:
        check(MESSAGE)
    assert refusal.value.public_text == "No DKIM signature found"
    with pytest.raises(NoValidSignatureError) as other:
        check(b"DKIM-Signature: v=1\r\n" + MESSAGE)
    assert other.value.public_text == "No valid DKIM signature found"


def test_a_key_that_cannot_be_looked_up_now_is_no_refusal() -> None:
    mail = sign_by_oracle(MESSAGE, SHAPES[0], keys()[0])
    with pytest.raises(KeyUnavailableError):
        check(mail, look_up=look_up_in_vain)


def test_a_signature_of_a_parent_or_a_child_is_not_aligned() -> None:
    mail = sign_by_oracle(MESSAGE, SHAPES[0], keys()[0])
    for domain in ("a.example.org", "org", "xexample.org"):
        with pytest.raises(NoValidSignatureError, match="of the domain of From"):
            check(mail, domain)


def test_a_length_that_leaves_an_end_open_is_refused_and_a_whole_one_taken() -> None:
    mail = sign_by_oracle(MESSAGE, SHAPES[0], keys()[0], length=True)
    check(mail)
    with pytest.raises(NoValidSignatureError, match="a part of the body"):
        check(mail + b"added\r\n")


def test_expiry_is_kept_with_the_same_slack_as_dkimpy() -> None:
    at = 1_800_000_000
    field = b"v=1; a=rsa-sha256; d=example.org; s=rsa1; h=from; bh=AAAA; b=AAAA; x=%d"
    Signature.parse(field % (at - CLOCK_SKEW_SECONDS), at)
    with pytest.raises(MalformedError, match="expired"):
        Signature.parse(field % (at - CLOCK_SKEW_SECONDS - 1), at)
    born = b"v=1; a=rsa-sha256; d=example.org; s=rsa1; h=from; bh=AAAA; b=AAAA; t=%d"
    Signature.parse(born % (at + CLOCK_SKEW_SECONDS), at)
    with pytest.raises(MalformedError, match="future"):
        Signature.parse(born % (at + CLOCK_SKEW_SECONDS + 1), at)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a=rsa-sha256", b"a=rsa-sha1"),
        (b"v=1", b"v=2"),
        (b"h=from", b"h=subject"),
        (b"d=example.org", b"d=example.org; i=@example.net"),
        (b"d=example.org", b"d=example.org; i=@xexample.org"),
        (b"d=example.org", b"d=example.org; d=example.org"),
        (b"d=example.org", "d=exämple.org".encode()),
        (b"d=example.org", b"d=" + b"a." * 130 + b"org"),
        (b"s=rsa1", b"s="),
        (b"bh=AAAA", b"bh=A"),
        (b"b=AAAA", b"b=AA AA===="),
        (b"bh=AAAA", b"bh=AAAA; q=http"),
        (b"bh=AAAA", b"bh=AAAA; c=relaxed/none"),
        (b"bh=AAAA", b"bh=AAAA; l=-1"),
        (b"bh=AAAA", b"bh=AAAA; t=now"),
    ],
)
def test_what_is_no_signature_is_refused(old: bytes, new: bytes) -> None:
    good = b"v=1; a=rsa-sha256; d=example.org; s=rsa1; h=from; bh=AAAA; b=AAAA"
    Signature.parse(good, 0)
    assert old in good
    with pytest.raises(MalformedError):
        Signature.parse(good.replace(old, new, 1), 0)


def test_a_record_is_read_with_and_without_the_algorithm_around_the_key() -> None:
    key = keys()[0].private_key.public_key()
    bare = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert read_key_record(b"p=" + b64encode(bare), Algorithm.RSA) == key
    assert read_key_record(records()[f"rsa1._domainkey.{DOMAIN}"], Algorithm.RSA) == key


@pytest.mark.parametrize(
    "change",
    [
        b"v=DKIM2; ",
        b"s=tlsrpt; ",
        b"h=sha1; ",
        b"k=ed25519; ",
        b"k=dsa; ",
        b"k=rsa; p=; x",
        b"p=AAAA; x",
        b"p=MAA=; x",
    ],
)
def test_a_record_for_something_else_is_refused(change: bytes) -> None:
    record = change + records()[f"rsa1._domainkey.{DOMAIN}"].removeprefix(b"v=DKIM1; k=rsa; ")
    with pytest.raises(MalformedError):
        read_key_record(record, Algorithm.RSA)


@pytest.mark.parametrize(("excess", "is_taken"), [(-1, True), (0, True), (1, False)])
def test_a_record_of_more_than_4096_bytes_is_refused(excess: int, is_taken: bool) -> None:
    record = records()[f"rsa1._domainkey.{DOMAIN}"] + b"; n="
    record += b"x" * (MAX_RECORD_BYTES + excess - len(record))
    if is_taken:
        read_key_record(record, Algorithm.RSA)
    else:
        with pytest.raises(MalformedError, match="too long"):
            read_key_record(record, Algorithm.RSA)


@pytest.mark.parametrize(("bits", "is_taken"), [(1024, True), (1023, False)])
def test_a_key_of_less_than_1024_bits_is_refused(bits: int, is_taken: bool) -> None:
    numbers = generate_private_key(65_537, 1024).public_key().public_numbers()  # noqa: S505 - the limit
    modulus = numbers.n if bits == 1024 else numbers.n >> 1 | 1
    key = replace_modulus(modulus, numbers.e)
    if is_taken:
        read_key_record(b"p=" + key, Algorithm.RSA)
    else:
        with pytest.raises(MalformedError):
            read_key_record(b"p=" + key, Algorithm.RSA)


def replace_modulus(modulus: int, exponent: int) -> bytes:
    def integer(number: int) -> bytes:
        content = number.to_bytes(number.bit_length() // 8 + 1)
        return b"\x02\x82" + len(content).to_bytes(2) + content

    content = integer(modulus) + integer(exponent)
    return b64encode(b"\x30\x82" + len(content).to_bytes(2) + content)


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b" a \t b \r\n\r\n", b" a \t b \r\n", b" a b\r\n"),
        (b" \r\n \r\n", b" \r\n \r\n", b""),
    ],
)
def test_the_ends_of_bodies_are_those_of_the_rfc(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert bytes(write_body(body, Form.SIMPLE)) == simple
    assert bytes(write_body(body, Form.RELAXED)) == relaxed


def test_a_published_record_is_what_a_verifier_reads() -> None:
    for key in keys():
        assert isinstance(key, SigningKey)
        record = write_key_record(key).encode()
        assert read_key_record(record, key.algorithm) == key.private_key.public_key()
        assert replace(key, selector="other").algorithm is key.algorithm
