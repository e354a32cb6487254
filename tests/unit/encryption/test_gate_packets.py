"""The packets of a message: what is well framed passes, every single change is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysequoia import encrypt

from mailnode.encryption.errors import UnencryptedError
from mailnode.encryption.openpgp_packets import (
    MAX_HEADERS,
    MIN_FIRST_CHUNK_BYTES,
    SessionKeys,
    check_packets,
)
from support.openpgp_messages import (
    PKESK,
    SEIPD,
    SKESK,
    Packet,
    framed,
    framed_in_chunks,
    framed_legacy,
    framed_longest,
    real_packets,
    recipient_certificate,
    split_packets,
)

KEY = framed(PKESK, b"\x03" + bytes(18))
Message = list[Packet]

whole = st.sampled_from([framed, framed_longest])
any_framer = whole | st.just(framed_legacy)
public_session_key = st.builds(
    Packet, st.just(PKESK), st.binary(min_size=18, max_size=300).map(lambda tail: b"\x03" + tail), any_framer
)
symmetric_session_key = st.builds(
    Packet, st.just(SKESK), st.binary(min_size=18, max_size=300).map(lambda tail: b"\x04" + tail), any_framer
)
session_key = public_session_key | symmetric_session_key
encrypted_whole = st.builds(Packet, st.just(SEIPD), st.binary(min_size=1, max_size=600), whole)
encrypted_in_chunks = st.builds(
    Packet, st.just(SEIPD), st.binary(min_size=512, max_size=600), st.just(framed_in_chunks)
)
any_message = st.builds(
    lambda keys, data: [*keys, data],
    st.lists(session_key, min_size=1, max_size=4, unique_by=lambda packet: packet.body),
    encrypted_whole | encrypted_in_chunks,
)


def as_bytes(message: Message) -> bytes:
    return b"".join(map(bytes, message))


def assert_refused(data: bytes) -> None:
    with pytest.raises(UnencryptedError):
        check_packets(data)


@given(any_message)
def test_session_keys_and_one_encrypted_packet_pass(message: Message) -> None:
    types = [packet.type_id for packet in message]

    assert check_packets(as_bytes(message)) == SessionKeys(types.count(PKESK), types.count(SKESK))


@pytest.mark.parametrize("size_bytes", [1, 500, 10_000, 3_000_000])
def test_real_message_of_any_size_passes(size_bytes: int) -> None:
    assert check_packets(real_packets(size_bytes)) == SessionKeys(1, 0)


def test_real_message_for_keys_and_passphrases_passes() -> None:
    data = encrypt(
        b"text", [recipient_certificate(), recipient_certificate("Bob")], passwords=["p"], armor=False
    )

    assert check_packets(bytes(data)) == SessionKeys(2, 1)


@given(any_message)
def test_message_without_its_encrypted_packet_is_refused(message: Message) -> None:
    assert_refused(as_bytes(message[:-1]))


@given(any_message)
def test_doubled_encrypted_packet_is_refused(message: Message) -> None:
    assert_refused(as_bytes([*message, message[-1]]))


@given(any_message)
def test_message_without_session_keys_is_refused(message: Message) -> None:
    assert_refused(as_bytes(message[-1:]))


@given(any_message, st.data())
def test_doubled_session_key_is_refused(message: Message, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(message) - 2))
    message.insert(data.draw(st.integers(0, len(message) - 1)), message[place])

    assert_refused(as_bytes(message))


@pytest.mark.parametrize("change", ["dropped", "doubled", "retagged"])
@pytest.mark.parametrize("place", [0, 1])
def test_real_message_with_one_packet_changed_is_refused(change: str, place: int) -> None:
    packets = split_packets(real_packets())
    packet = packets[place]
    for other in (PKESK, SKESK, SEIPD):
        changed = {"dropped": [], "doubled": [packet, packet], "retagged": [replace(packet, type_id=other)]}
        if change != "retagged" or other != packet.type_id:
            assert_refused(as_bytes([*packets[:place], *changed[change], *packets[place + 1 :]]))


@pytest.mark.parametrize(
    ("type_id", "body", "is_key"),
    [
        (PKESK, b"\x03" + bytes(10), True),
        (PKESK, b"\x03" + bytes(9), False),
        (PKESK, b"\x06\x21" + bytes(40), True),
        (PKESK, b"\x06\x00" + bytes(40), True),
        (PKESK, b"\x06\x20" + bytes(40), False),
        (PKESK, b"\x06\x21" + bytes(33), False),
        (PKESK, b"\x04" + bytes(40), False),
        (SKESK, b"\x04" + bytes(3), True),
        (SKESK, b"\x04" + bytes(2), False),
        (SKESK, b"\x06\x1d" + bytes(60), True),
        (SKESK, b"\x06\x21" + bytes(60), False),
        (SKESK, b"\x03" + bytes(40), False),
    ],
)
def test_session_key_looks_like_what_its_type_says(type_id: int, body: bytes, is_key: bool) -> None:
    data = framed(type_id, body) + framed(SEIPD, b"x")
    if is_key:
        check_packets(data)
    else:
        assert_refused(data)


@given(any_message, session_key)
def test_session_key_behind_the_encrypted_packet_is_refused(message: Message, key: Packet) -> None:
    assert_refused(as_bytes([*message, key]))


@given(any_message, st.data())
def test_packet_under_another_type_is_refused(message: Message, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(message) - 1))
    foreign = data.draw(st.integers(0, 63).filter(lambda type_id: type_id != message[place].type_id))
    message[place] = replace(message[place], type_id=foreign, framer=framed_longest)

    assert_refused(as_bytes(message))


@given(any_message, st.integers(-600, 600).filter(bool))
def test_encrypted_packet_with_a_wrong_length_is_refused(message: Message, error_bytes: int) -> None:
    *keys, data = message
    said_bytes = max(0, len(data.body) + error_bytes)
    header = bytes([0xC0 | SEIPD, 255]) + said_bytes.to_bytes(4)

    assert_refused(as_bytes(keys) + header + data.body)


@given(any_message, st.data())
def test_message_cut_off_anywhere_is_refused(message: Message, data: st.DataObject) -> None:
    intact = as_bytes(message)

    assert_refused(intact[: data.draw(st.integers(0, len(intact) - 1))])


@given(any_message, st.binary(min_size=1, max_size=20))
def test_trailing_data_is_refused(message: Message, trailer: bytes) -> None:
    assert_refused(as_bytes(message) + trailer)


@pytest.mark.parametrize(
    "type_id", [type_id for type_id in range(64) if type_id not in (PKESK, SKESK, SEIPD)]
)
def test_foreign_packet_in_a_real_message_is_refused(type_id: int) -> None:
    for place in range(3):
        packets = split_packets(real_packets())
        packets.insert(place, Packet(type_id, b"plain text"))
        assert_refused(as_bytes(packets))


@pytest.mark.parametrize("type_id", [0, 2, 4, 6, 8, 9, 10, 11])
def test_foreign_packet_in_the_legacy_format_is_refused(type_id: int) -> None:
    assert_refused(framed_legacy(type_id, b"plain text") + real_packets())


@pytest.mark.parametrize("octet", range(0, 128, 9))
def test_octet_without_the_first_bit_is_no_packet(octet: int) -> None:
    assert_refused(bytes([octet]) + real_packets())


def test_session_key_of_indeterminate_length_is_refused() -> None:
    assert_refused(bytes([0x80 | PKESK << 2 | 3]) + real_packets())


def test_session_key_in_chunks_is_refused() -> None:
    assert_refused(framed_in_chunks(PKESK, bytes(600)) + real_packets())


@pytest.mark.parametrize("lengths", [[("64", 100)], [("c5fb", 1_723)], [("ff000186a0", 100_000)]])
def test_length_examples_of_rfc_9580_section_4_2_3_are_understood(lengths: list[tuple[str, int]]) -> None:
    check_packets(KEY + b"\xd2" + b"".join(bytes.fromhex(header) + bytes(size) for header, size in lengths))


def test_chunk_example_of_rfc_9580_section_4_2_3_is_understood() -> None:
    lengths = [("ef", 32_768), ("e1", 2), ("e0", 1), ("f0", 65_536), ("c5dd", 1_693)]

    check_packets(KEY + b"\xd2" + b"".join(bytes.fromhex(header) + bytes(size) for header, size in lengths))


def test_first_chunk_has_a_least_size() -> None:
    power = MIN_FIRST_CHUNK_BYTES.bit_length() - 1

    check_packets(KEY + bytes([0xC0 | SEIPD, 224 + power]) + bytes(1 << power) + b"\x00")
    assert_refused(KEY + bytes([0xC0 | SEIPD, 224 + power - 1]) + bytes(1 << power - 1) + b"\x00")


def test_number_of_packets_is_bounded() -> None:
    keys = [framed(PKESK, b"\x03" + bytes(8) + number.to_bytes(4)) for number in range(MAX_HEADERS)]
    data = framed(SEIPD, b"x")

    check_packets(b"".join(keys[1:]) + data)
    assert_refused(b"".join(keys) + data)


def test_number_of_chunks_is_bounded() -> None:
    start = KEY + bytes([0xC0 | SEIPD, 0xE9]) + bytes(512)

    check_packets(start + b"\xe0x" * (MAX_HEADERS - 2) + b"\x00")
    assert_refused(start + b"\xe0x" * (MAX_HEADERS - 1) + b"\x00")
