"""Whatever the bytes, the gate answers, and with nothing but its own errors."""

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.encryption.errors import GateError, UnencryptedError
from mailnode.encryption.gate import check_incoming, check_outgoing
from mailnode.encryption.mime_framing import split_entity
from support.openpgp_messages import (
    ALICE,
    BOB,
    armored,
    encrypted_mail,
    join_request,
    real_packets,
    setup_message,
)

SAMPLES = [bytes(encrypted_mail()), bytes(join_request()), bytes(setup_message())]
RAW = SAMPLES[0]
PACKETS = real_packets()

# Words that mean something to one of the readers, so that garbage gets past the first check.
WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b":",
    b";",
    b'"',
    b"=",
    b"--",
    b"From: <alice1234@example.org>\r\n",
    b"Content-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=b\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/report; boundary=b\r\n",
    b"Content-Type: application/pgp-encrypted\r\n",
    b"Content-Type: application/octet-stream\r\n",
    b"Content-Type: application/autocrypt-setup\r\n",
    b"Content-Type: text/plain\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Autocrypt-Setup-Message: v1\r\n",
    b"Secure-Join: vc-request\r\n",
    b"Auto-Submitted: auto-replied\r\n",
    b"--b\r\n",
    b"\r\n--b--\r\n",
    b"Version: 1",
    b"-----BEGIN PGP MESSAGE-----\r\n\r\n",
    b"-----END PGP MESSAGE-----",
    b64encode(PACKETS),
    b64encode(b"plain text"),
]
garbage = st.lists(st.sampled_from(WORDS) | st.binary(max_size=20), max_size=30).map(b"".join)


@given(garbage)
def test_garbage_gets_a_gate_error_or_passes(data: bytes) -> None:
    for recipients in ([ALICE], [BOB]):
        with suppress(GateError):
            check_outgoing(data, ALICE, recipients)
    with suppress(UnencryptedError):
        check_incoming(data)


@given(st.sampled_from(SAMPLES), st.data())
def test_changed_octets_get_a_gate_error_or_pass(sample: bytes, data: st.DataObject) -> None:
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))

    with suppress(GateError):
        check_outgoing(bytes(changed), ALICE, [ALICE])
    with suppress(UnencryptedError):
        check_incoming(bytes(changed))


@given(st.binary(min_size=1, max_size=400).filter(lambda data: data[0] < 0x80))
def test_what_is_no_packet_never_passes(data: bytes) -> None:
    mail = bytes(encrypted_mail(armored(data)))

    for check in (check_incoming, lambda message: check_outgoing(message, ALICE, [BOB])):
        with pytest.raises(UnencryptedError):
            check(mail)


# Between the packets, another session key would be right.
@given(st.integers(1, 40) | st.integers(200, len(PACKETS)), st.binary(min_size=1, max_size=8))
def test_octets_put_into_real_packets_never_pass(place: int, octets: bytes) -> None:
    changed = PACKETS[:place] + octets + PACKETS[place:]

    with pytest.raises(UnencryptedError):
        check_outgoing(bytes(encrypted_mail(armored(changed))), ALICE, [BOB])


@given(st.integers(0, len(PACKETS) - 2), st.integers(1, 8))
def test_octets_taken_from_real_packets_never_pass(place: int, count: int) -> None:
    changed = PACKETS[:place] + PACKETS[place + count :]

    with pytest.raises(UnencryptedError):
        check_outgoing(bytes(encrypted_mail(armored(changed))), ALICE, [BOB])


@given(st.text("abc\r\n \t:", max_size=60).map(str.encode))
def test_header_fields_hold_no_line_ends(data: bytes) -> None:
    try:
        entity = split_entity(data + b"\r\n\r\n")
    except UnencryptedError:
        return

    for name, value in entity.fields.items():
        assert not set(b"\r\n") & {*name, *value}
