"""Armor: nothing readable may stand around the encrypted data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.encryption import armor as armor_module
from mailnode.encryption.armor import MAX_HEADER_LINE_BYTES, MAX_HEADER_LINES, PIECE_BYTES, remove_armor
from mailnode.encryption.errors import UnencryptedError
from support.openpgp_messages import BEGIN, END, armored

DATA = bytes(range(256)) * 3


def assert_refused(text: bytes, permitted: tuple[bytes, ...] = ()) -> None:
    with pytest.raises(UnencryptedError):
        remove_armor(text, permitted)


@given(st.binary(min_size=1, max_size=400), st.integers(1, 90), st.booleans())
def test_armor_of_any_width_comes_off(data: bytes, width: int, has_checksum: bool) -> None:
    checksum = b"=njUN\r\n" if has_checksum else b""

    assert remove_armor(armored(data, width=width, checksum=checksum), ()) == data


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12))
def test_lines_of_different_lengths_come_off(widths: list[int]) -> None:
    rest = armored(DATA, width=10_000)[len(BEGIN) + 2 : -len(END)].strip()
    lines = []
    for width in widths:
        lines.append(rest[:width])
        rest = rest[width:]

    assert remove_armor(BEGIN + b"\r\n" + b"\r\n".join([*lines, rest]) + b"\r\n" + END, ()) == DATA


def test_line_ends_may_follow() -> None:
    assert remove_armor(armored(DATA) + b"\r\n\r\n", ()) == DATA
    assert remove_armor(armored(DATA).removesuffix(b"\r\n"), ()) == DATA


def test_large_message_is_decoded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for piece_bytes in (67, 100, 1_001):
        monkeypatch.setattr(armor_module, "PIECE_BYTES", piece_bytes)
        for width in (1, 63, 64, 65):
            assert remove_armor(armored(DATA, width=width), ()) == DATA


def test_padding_inside_of_a_large_message_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(armor_module, "PIECE_BYTES", 100)
    padded = armored(DATA).replace(b"\r\nAAEC", b"\r\nAA==", 1)

    assert padded != armored(DATA)
    assert_refused(padded)


def test_base64_without_a_line_end_for_long_is_refused() -> None:
    assert_refused(armored(bytes(PIECE_BYTES), width=4 * PIECE_BYTES))


def test_only_permitted_headers_come_off() -> None:
    text = armored(DATA, b"Version: 1.0\r\n")

    assert remove_armor(text, (b"Version",)) == DATA
    assert_refused(text)
    assert_refused(armored(DATA, b"Comment: hello\r\n"), (b"Version",))


def test_number_and_length_of_headers_are_bounded() -> None:
    line = b"Version: ".ljust(MAX_HEADER_LINE_BYTES, b"x") + b"\r\n"

    assert remove_armor(armored(DATA, line * MAX_HEADER_LINES), (b"Version",)) == DATA
    assert_refused(armored(DATA, line * (MAX_HEADER_LINES + 1)), (b"Version",))
    assert_refused(armored(DATA, b"x" + line), (b"Version", b"xVersion"))


TEXT = armored(DATA, checksum=b"=njUN\r\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(BEGIN + b"\r\n" + END, id="no base64"),
        pytest.param(BEGIN + b"\r\n\r\n" + END, id="only an empty line"),
        pytest.param(BEGIN + b"\r\n=njUN\r\n" + END, id="only a checksum"),
        pytest.param(b"\r\n" + TEXT, id="line before"),
        pytest.param(b"Hello\r\n" + TEXT, id="text before"),
        pytest.param(TEXT + b"Hello\r\n", id="text after"),
        pytest.param(TEXT + b" \r\n", id="space after"),
        pytest.param(TEXT + TEXT, id="two of them"),
        pytest.param(TEXT.replace(b"\r\n", b"\n"), id="bare LF"),
        pytest.param(TEXT.replace(b"\r\n", b"\r"), id="bare CR"),
        pytest.param(TEXT.replace(BEGIN + b"\r\n", BEGIN), id="no empty line"),
        pytest.param(TEXT.replace(BEGIN, BEGIN + b"\r\n"), id="two empty lines"),
        pytest.param(TEXT.replace(b"MESSAGE", b"PUBLIC KEY BLOCK"), id="a key"),
        pytest.param(TEXT.replace(b"BEGIN PGP MESSAGE-----", b"BEGIN PGP MESSAGE----- "), id="space"),
        pytest.param(TEXT.replace(END, b""), id="no end"),
        pytest.param(TEXT.replace(b"\r\n-----END", b"-----END"), id="end in the line"),
        pytest.param(TEXT.replace(b"=njUN", b"=njUNnjUN"), id="long checksum"),
        pytest.param(TEXT.replace(b"=njUN", b"=n jU"), id="checksum that is none"),
        pytest.param(TEXT.replace(b"=njUN", b"=njUN\r\n=njUN"), id="two checksums"),
        pytest.param(TEXT.replace(b"\r\n=njUN", b"\r\n\r\n=njUN"), id="empty line before the checksum"),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    assert text != TEXT
    assert_refused(text)


@given(st.data())
def test_one_wrong_octet_in_the_base64_is_refused(data: st.DataObject) -> None:
    start, end = len(BEGIN) + 2, len(TEXT) - len(END) - 7
    place = data.draw(st.integers(start, end - 1).filter(lambda n: TEXT[n] not in b"\r\n"))
    octet = data.draw(st.sampled_from(b" \t\n\r\0!-_=.<\x80\xff"))

    assert_refused(TEXT[:place] + bytes([octet]) + TEXT[place + 1 :])


@given(st.data())
def test_octet_inserted_between_lines_is_refused(data: st.DataObject) -> None:
    ends = [n for n in range(len(BEGIN) + 2, len(TEXT) - len(END) - 7) if TEXT[n] in b"\r\n"]
    place = data.draw(st.sampled_from(ends))
    octet = data.draw(st.sampled_from([b" ", b"\n", b"\r", b"\r\n"]))

    assert_refused(TEXT[:place] + octet + TEXT[place:])
