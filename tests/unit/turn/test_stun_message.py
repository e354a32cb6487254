"""STUN messages: the vectors of RFC 5769 first, then each rule by itself."""

import hashlib
import hmac
from dataclasses import replace

import pytest

from turnnode.errors import StunFormatError
from turnnode.stun.attributes import (
    AttributeType,
    decode_channel_number,
    decode_error_code,
    decode_first_octet,
    decode_lifetime,
    decode_xor_address,
    encode_error_code,
    encode_xor_address,
)
from turnnode.stun.message import (
    IntegrityKind,
    Message,
    MessageClass,
    Method,
    decode,
    encode,
    encode_attribute,
)

SHORT_TERM_KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
LONG_TERM_KEY = hashlib.md5("マトリックス:example.org:TheMatrIX".encode(), usedforsecurity=False).digest()
TRANSACTION_ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")

SAMPLE_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56"
    "781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
SAMPLE_IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
SAMPLE_IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147"
    "0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
SAMPLE_LONG_TERM_REQUEST = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c"
    "662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)


def request(*attributes: tuple[int, bytes]) -> Message:
    return Message(Method.ALLOCATE, MessageClass.REQUEST, TRANSACTION_ID, attributes)


@pytest.mark.parametrize(
    ("vector", "key"),
    [
        (SAMPLE_REQUEST, SHORT_TERM_KEY),
        (SAMPLE_IPV4_RESPONSE, SHORT_TERM_KEY),
        (SAMPLE_IPV6_RESPONSE, SHORT_TERM_KEY),
        (SAMPLE_LONG_TERM_REQUEST, LONG_TERM_KEY),
    ],
)
def test_vectors_of_rfc_5769_prove_their_key_and_no_other(vector: bytes, key: bytes) -> None:
    integrity = decode(vector).integrity

    assert integrity is not None
    assert integrity.is_proved_by(key)
    assert not integrity.is_proved_by(key + b"x")


@pytest.mark.parametrize(
    ("vector", "address"),
    [
        (SAMPLE_IPV4_RESPONSE, ("192.0.2.1", 32853)),
        (SAMPLE_IPV6_RESPONSE, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
)
def test_vectors_of_rfc_5769_name_their_address(vector: bytes, address: tuple[str, int]) -> None:
    message = decode(vector)
    value = message.find(AttributeType.XOR_MAPPED_ADDRESS)

    assert (message.method, message.message_class) == (Method.BINDING, MessageClass.SUCCESS)
    assert value is not None
    assert decode_xor_address(value, message.transaction_id) == address
    assert encode_xor_address(address, message.transaction_id) == value


def test_vector_of_rfc_5769_with_zero_padding_is_written_octet_by_octet() -> None:
    message = decode(SAMPLE_LONG_TERM_REQUEST)

    assert encode(message, LONG_TERM_KEY) == SAMPLE_LONG_TERM_REQUEST


def test_padding_may_hold_anything() -> None:
    assert decode(SAMPLE_REQUEST).find(AttributeType.USERNAME) == b"evtj:h6vY"


@pytest.mark.parametrize("octet", set(range(len(SAMPLE_REQUEST))) - {100, 101})  # they say: a fingerprint
def test_change_of_any_octet_breaks_the_fingerprint(octet: int) -> None:
    changed = bytearray(SAMPLE_REQUEST)
    changed[octet] ^= 0x01

    with pytest.raises(StunFormatError):
        decode(bytes(changed))


@pytest.mark.parametrize("kind", list(IntegrityKind))
def test_attributes_after_the_integrity_are_ignored(kind: IntegrityKind) -> None:
    signed = encode(request((AttributeType.USERNAME, b"u")), b"key", kind=kind)
    appended = encode_attribute(AttributeType.LIFETIME, bytes(4))
    longer = signed[:2] + (len(signed) - 20 + len(appended)).to_bytes(2) + signed[4:] + appended

    message = decode(longer)

    assert message == request((AttributeType.USERNAME, b"u"))
    assert message.integrity is not None
    assert message.integrity.is_proved_by(b"key")


def test_second_proof_of_integrity_does_not_replace_the_first() -> None:
    signed = encode(request(), b"key")
    appended = encode_attribute(IntegrityKind.SHA256, bytes(32))
    message = decode(signed[:2] + (24 + len(appended)).to_bytes(2) + signed[4:] + appended)

    assert message.integrity is not None
    assert message.integrity.kind is IntegrityKind.SHA1


def test_fingerprint_after_the_integrity_counts() -> None:
    message = decode(encode(request(), b"key", fingerprint=True))

    assert message.has_fingerprint
    assert message.integrity is not None
    assert message.integrity.is_proved_by(b"key")


def test_fingerprint_that_is_not_last_is_refused() -> None:
    complete = encode(request(), fingerprint=True)
    appended = encode_attribute(AttributeType.SOFTWARE, b"more")

    with pytest.raises(StunFormatError, match="fingerprint"):
        decode(complete[:2] + (len(complete) - 20 + len(appended)).to_bytes(2) + complete[4:] + appended)


@pytest.mark.parametrize(("size", "is_sound"), [(12, False), (16, True), (20, True), (32, True), (36, False)])
def test_sha256_proof_may_be_truncated_to_16_octets(size: int, is_sound: bool) -> None:
    whole = encode(request(), b"key", kind=IntegrityKind.SHA256)
    # What is covered includes the length of the proof, so each size is proved anew.
    covered = whole[:2] + (4 + size).to_bytes(2) + whole[4:20]
    digest = (hashlib.sha256(b"").digest() + bytes(4))[:size]
    datagram = covered + encode_attribute(IntegrityKind.SHA256, digest)

    if not is_sound:
        with pytest.raises(StunFormatError, match="proof"):
            decode(datagram)
        return
    integrity = decode(datagram).integrity
    assert integrity is not None
    assert not integrity.is_proved_by(b"key")
    proof = replace(integrity, digest=hmac.digest(b"key", covered, "sha256")[:size])
    assert proof.is_proved_by(b"key")


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        SAMPLE_REQUEST[:19],
        b"\x40" + SAMPLE_REQUEST[1:],
        SAMPLE_REQUEST[:4] + bytes(4) + SAMPLE_REQUEST[8:],
        SAMPLE_REQUEST + bytes(4),
        SAMPLE_REQUEST[:2] + b"\x00\x57" + SAMPLE_REQUEST[4:-1],
        encode(request())[:2] + b"\x00\x04" + encode(request())[4:] + b"\x00\x06\x00\x01",
        encode(request((IntegrityKind.SHA1, bytes(19)))),
    ],
)
def test_datagram_that_is_no_message_is_refused(datagram: bytes) -> None:
    with pytest.raises(StunFormatError):
        decode(datagram)


@pytest.mark.parametrize("method", [0x000, 0x001, 0x009, 0x00F, 0x010, 0x07F, 0x080, 0xFFF])
@pytest.mark.parametrize("message_class", list(MessageClass))
def test_every_method_and_class_survives(method: int, message_class: MessageClass) -> None:
    message = Message(method, message_class, TRANSACTION_ID)

    assert decode(encode(message)) == message


def test_first_attribute_of_a_type_counts_and_all_can_be_read() -> None:
    message = request((AttributeType.DATA, b"1"), (AttributeType.DATA, b"2"))

    assert message.find(AttributeType.DATA) == b"1"
    assert message.find_all(AttributeType.DATA) == [b"1", b"2"]
    assert message.find(AttributeType.NONCE) is None


def test_unknown_attributes_below_0x8000_must_be_understood() -> None:
    message = request((0x7FFE, b""), (AttributeType.DATA, b""), (0x8FFF, b""), (0x7FFE, b""))

    assert message.unknown_required(frozenset({AttributeType.DATA})) == (0x7FFE,)


@pytest.mark.parametrize("status", [300, 401, 438, 699])
def test_error_code_is_read_as_it_was_written(status: int) -> None:
    assert decode_error_code(encode_error_code(status)) == status


@pytest.mark.parametrize("value", [b"", b"\0\0\x04", b"\0\0\x02\x63", b"\0\0\x07\x00", b"\0\0\x04\x64"])
def test_malformed_error_code_is_refused(value: bytes) -> None:
    with pytest.raises(StunFormatError):
        decode_error_code(value)


@pytest.mark.parametrize(
    "value", [b"", b"\0\x01", b"\0\x01" + bytes(5), b"\0\x02" + bytes(6), b"\0\x03" + bytes(6)]
)
def test_malformed_address_is_refused(value: bytes) -> None:
    with pytest.raises(StunFormatError):
        decode_xor_address(value, TRANSACTION_ID)


@pytest.mark.parametrize("read", [decode_lifetime, decode_channel_number, decode_first_octet])
@pytest.mark.parametrize("size", [0, 3, 5])
def test_number_of_a_wrong_length_is_refused(read: object, size: int) -> None:
    assert callable(read)
    with pytest.raises(StunFormatError):
        read(bytes(size))
