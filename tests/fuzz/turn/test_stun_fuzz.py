"""STUN and ChannelData on every kind of bytes: whole, cut, changed and random."""

from hypothesis import example, given
from hypothesis import strategies as st

from turnnode.errors import StunFormatError
from turnnode.stun.attributes import (
    Address,
    decode_channel_number,
    decode_error_code,
    decode_first_octet,
    decode_lifetime,
    decode_xor_address,
    encode_xor_address,
)
from turnnode.stun.channel_data import decode_channel_data, encode_channel_data, is_channel_data
from turnnode.stun.layouts import KnownLayouts
from turnnode.stun.message import (
    FINGERPRINT_TYPE,
    IntegrityKind,
    Message,
    MessageClass,
    decode,
    encode,
    encode_attribute,
)

PROOFS = {*IntegrityKind, FINGERPRINT_TYPE}
attribute_types = st.integers(0, 0xFFFF).filter(lambda kind: kind not in PROOFS)
attributes = st.lists(st.tuples(attribute_types, st.binary(max_size=40)), max_size=8).map(tuple)
messages = st.builds(
    Message,
    st.integers(0, 0xFFF),
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    attributes,
)
keys = st.none() | st.binary(min_size=1, max_size=20)
kinds = st.sampled_from(IntegrityKind)
hosts = st.ip_addresses().map(str)
ports = st.integers(0, 65_535)


@given(messages, keys, kinds, st.booleans())
def test_message_is_read_as_it_was_written(
    message: Message, key: bytes | None, kind: IntegrityKind, fingerprint: bool
) -> None:
    read = decode(encode(message, key, kind=kind, fingerprint=fingerprint))

    assert read == message
    assert read.has_fingerprint is fingerprint
    assert (read.integrity is None) is (key is None)
    if read.integrity is not None and key is not None:
        assert read.integrity.is_proved_by(key)
        assert not read.integrity.is_proved_by(key + b"x")


@given(messages, keys, st.data())
def test_message_cut_anywhere_is_refused(message: Message, key: bytes | None, data: st.DataObject) -> None:
    whole = encode(message, key)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]

    assert_refused(cut)


@given(messages, st.binary(min_size=1, max_size=20))
def test_message_with_a_trailer_is_refused(message: Message, trailer: bytes) -> None:
    assert_refused(encode(message) + trailer)


@given(messages, st.data())
def test_changed_message_is_another_message_or_a_clean_error_and_proves_nothing(
    message: Message, data: st.DataObject
) -> None:
    changed = bytearray(encode(message, b"key"))
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        read = decode(bytes(changed))
    except StunFormatError:
        return
    if read.integrity is not None and read.integrity.is_proved_by(b"key"):
        assert read == message


@given(messages, attributes)
def test_attributes_appended_after_the_proof_change_nothing(
    message: Message, more: tuple[tuple[int, bytes], ...]
) -> None:
    signed = encode(message, b"key")
    appended = b"".join(encode_attribute(kind, value) for kind, value in more)
    read = decode(signed[:2] + (len(signed) - 20 + len(appended)).to_bytes(2) + signed[4:] + appended)

    assert read == message
    assert read.integrity is not None
    assert read.integrity.is_proved_by(b"key")


@given(messages, kinds, st.booleans(), st.data())
def test_message_of_a_known_layout_is_read_as_any_other(
    message: Message, kind: IntegrityKind, fingerprint: bool, data: st.DataObject
) -> None:
    layouts = KnownLayouts()
    signed = encode(message, b"key", kind=kind, fingerprint=fingerprint)
    layouts.learn(decode(signed))
    assert_same(layouts.read(signed), decode(signed))
    changed = bytearray(signed)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    read = layouts.read(bytes(changed))
    try:
        wanted = decode(bytes(changed))
    except StunFormatError:
        assert read is None
        return
    if read is not None:
        assert_same(read, wanted)


@given(messages, attributes)
def test_layout_is_learnt_without_what_follows_the_proof(
    message: Message, more: tuple[tuple[int, bytes], ...]
) -> None:
    signed = encode(message, b"key")
    appended = b"".join(encode_attribute(kind, value) for kind, value in more)
    long = signed[:2] + (len(signed) - 20 + len(appended)).to_bytes(2) + signed[4:] + appended
    layouts = KnownLayouts()
    layouts.learn(decode(long))

    assert_same(layouts.read(signed), decode(signed))
    assert not more or layouts.read(long) is None


@given(st.binary(max_size=120))
@example(b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x80\x28\x00\x00")
@example(b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12) + b"\x00\x06\xff\xff" + bytes(4))
def test_random_bytes_are_a_message_or_a_clean_error(datagram: bytes) -> None:
    try:
        decode(datagram)
    except StunFormatError:
        return
    assert len(datagram) >= 20


@given(st.binary(max_size=100))
def test_random_body_behind_a_right_header_is_a_message_or_a_clean_error(body: bytes) -> None:
    body = body[: len(body) & ~3]
    datagram = b"\x00\x01" + len(body).to_bytes(2) + b"\x21\x12\xa4\x42" + bytes(12) + body
    try:
        message = decode(datagram)
    except StunFormatError:
        return
    assert sum(4 + len(value) for _, value in message.attributes) <= len(body)


@given(hosts, ports, st.binary(min_size=12, max_size=12))
def test_address_is_read_as_it_was_written(host: str, port: int, transaction_id: bytes) -> None:
    address: Address = (host, port)
    read_host, read_port = decode_xor_address(encode_xor_address(address, transaction_id), transaction_id)

    assert read_port == port
    assert encode_xor_address((read_host, port), transaction_id) == encode_xor_address(
        address, transaction_id
    )


@given(st.binary(max_size=24), st.binary(min_size=12, max_size=12))
def test_random_value_is_a_value_or_a_clean_error(value: bytes, transaction_id: bytes) -> None:
    for read in (
        decode_lifetime,
        decode_channel_number,
        decode_first_octet,
        decode_error_code,
        lambda octets: decode_xor_address(octets, transaction_id),
    ):
        try:
            read(value)
        except StunFormatError:
            continue


@given(st.integers(0x4000, 0x7FFF), st.binary(max_size=300), st.integers(0, 4))
def test_channel_data_is_read_as_it_was_written(number: int, data: bytes, padding: int) -> None:
    datagram = encode_channel_data(number, data) + bytes(padding)

    assert is_channel_data(datagram)
    assert decode_channel_data(datagram) == (number, data)


@given(st.integers(0x4000, 0x7FFF), st.binary(max_size=60), st.data())
def test_channel_data_cut_anywhere_is_refused(number: int, data: bytes, draw: st.DataObject) -> None:
    whole = encode_channel_data(number, data)
    cut = whole[: draw.draw(st.integers(0, len(whole) - 1))]
    try:
        decode_channel_data(cut)
    except StunFormatError:
        return
    raise AssertionError("what is cut was read")


@given(st.binary(max_size=60))
def test_random_bytes_are_channel_data_or_a_clean_error(datagram: bytes) -> None:
    try:
        number, data = decode_channel_data(datagram)
    except StunFormatError:
        return
    assert datagram.startswith(encode_channel_data(number, data))


def assert_refused(datagram: bytes) -> None:
    try:
        decode(datagram)
    except StunFormatError:
        return
    raise AssertionError("what is no message was read")


def assert_same(read: Message | None, wanted: Message) -> None:
    """Compare all of two messages, not only what makes them equal."""
    assert read == wanted
    assert (read.integrity, read.has_fingerprint, read.covered_bytes) == (
        wanted.integrity,
        wanted.has_fingerprint,
        wanted.covered_bytes,
    )
    types = {kind for kind, _ in wanted.attributes} | {0x0006}
    assert [read.find(kind) for kind in types] == [wanted.find(kind) for kind in types]
