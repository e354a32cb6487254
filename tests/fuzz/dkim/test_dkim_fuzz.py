"""Whatever stands in a field, a record or a message: a clean refusal, or a signature that holds."""

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from mailnode.dkim.errors import DkimError, MalformedError
from mailnode.dkim.public_key import read_key_record
from mailnode.dkim.signature import Algorithm, Signature, cut_value_out
from mailnode.dkim.signing import write_signatures
from mailnode.dkim.verification import verify
from support.dkim_mails import DOMAIN, MESSAGE, keys, look_up, now, records

WORDS = st.sampled_from(
    [
        b"v=1",
        b"a=rsa-sha256",
        b"d=example.org",
        b"s=rsa1",
        b"h=from:subject",
        b"bh=",
        b"b=",
        b"AAAA",
        b";",
        b"=",
        b" ",
        b"\r\n ",
        b"\t",
        b"l=0",
        b"x=1",
        b"c=relaxed/simple",
        b"i=@",
        b"p=",
        b"k=ed25519",
        b"k=rsa",
        b"MIGf",
        b"\xff",
        b"\0",
    ]
)
TEXTS = st.lists(WORDS | st.binary(max_size=8), max_size=30).map(b"".join)


@given(TEXTS)
def test_any_field_is_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(MalformedError):
        signature = Signature.parse(text, now())
        assert b"from" in signature.names
    assert len(cut_value_out(text)) <= len(text)


@given(TEXTS, st.sampled_from(Algorithm))
def test_any_record_is_read_or_refused(text: bytes, algorithm: Algorithm) -> None:
    with contextlib.suppress(MalformedError):
        read_key_record(text, algorithm)
    with contextlib.suppress(MalformedError):
        read_key_record(records()[f"rsa1._domainkey.{DOMAIN}"] + text, algorithm)


@given(st.binary(max_size=200), st.integers(0, 800), TEXTS)
def test_any_message_is_believed_or_refused(noise: bytes, at: int, text: bytes) -> None:
    mail = write_signatures(MESSAGE, DOMAIN, keys(), now()) + MESSAGE
    for changed in (noise, mail[:at] + noise + mail[at:], b"DKIM-Signature:" + text + b"\r\n" + MESSAGE):
        with contextlib.suppress(DkimError):
            asyncio.run(verify(changed, DOMAIN, look_up, now()))
