"""The gate: what real clients send passes, and every single change to it is refused."""

import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.encryption.armor import PIECE_BYTES
from mailnode.encryption.errors import UnencryptedError, WrongFromError
from mailnode.encryption.gate import check_incoming, check_outgoing
from support.openpgp_messages import (
    ALICE,
    BOB,
    DATA_HEADER,
    SEIPD,
    VERSION_PART,
    Mail,
    MailPart,
    Packet,
    armored,
    encrypted_mail,
    mail_header,
    real_packets,
    split_packets,
)

TEXT = "Encryption Needed: Invalid Unencrypted Mail"


def passes(mail: Mail | bytes, recipient: str = BOB) -> None:
    check_outgoing(bytes(mail), ALICE, [recipient])


def refused(mail: Mail | bytes, recipient: str = BOB) -> None:
    with pytest.raises(UnencryptedError, match=f"^{TEXT}$") as refusal:
        check_outgoing(bytes(mail), ALICE, [recipient])
    assert refusal.value.detail


def with_packets(*packets: Packet | bytes) -> Mail:
    return encrypted_mail(armored(b"".join(map(bytes, packets))))


MAIL = encrypted_mail()
RAW = bytes(MAIL)
REAL = split_packets(real_packets())
DATA = MAIL.parts[1]


def test_message_of_delta_chat_passes_both_ways() -> None:
    passes(MAIL)
    check_incoming(RAW)


@pytest.fixture(scope="module")
def gnupg_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("gnupg")
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


@pytest.mark.parametrize(
    "options",
    [
        ["--symmetric", "--passphrase", "x"],
        ["--symmetric", "--passphrase", "x", "--emit-version"],
        ["--symmetric", "--passphrase", "x", "--compress-algo", "none", "--cipher-algo", "AES256"],
    ],
)
@pytest.mark.parametrize("size_bytes", [1, 100_000])
def test_message_of_gnupg_passes(gnupg_home: Path, options: list[str], size_bytes: int) -> None:
    command = [
        "gpg",
        "--homedir",
        str(gnupg_home),
        "--batch",
        "--pinentry-mode",
        "loopback",
        "--armor",
        *options,
    ]
    made = subprocess.run(command, input=bytes(size_bytes), capture_output=True, check=True)
    armor = made.stdout.replace(b"\n", b"\r\n")

    check_incoming(bytes(encrypted_mail(armor)))
    (refused if b"\r\nVersion: " in armor else passes)(encrypted_mail(armor))


def test_large_message_passes_and_its_single_changes_do_not() -> None:
    packets = real_packets(4 * PIECE_BYTES)

    passes(encrypted_mail(armored(packets)))
    refused(encrypted_mail(armored(packets[:-1])))
    refused(encrypted_mail(armored(packets + b"\0")))


def data_header(error_bytes: int) -> bytes:
    return bytes([0xC0 | SEIPD, 255]) + (len(REAL[1].body) + error_bytes).to_bytes(4)


PACKET_CHANGES: dict[str, list[Packet | bytes]] = {
    "data dropped": [*REAL[:-1]],
    "everything dropped": [],
    "data doubled": [*REAL, REAL[-1]],
    "everything doubled": [*REAL, *REAL],
    "order turned": [*reversed(REAL)],
    "data as a literal": [REAL[0], replace(REAL[1], type_id=11)],
    "data without integrity protection": [REAL[0], replace(REAL[1], type_id=9)],
    "data compressed": [REAL[0], replace(REAL[1], type_id=8)],
    "key as a signature": [replace(REAL[0], type_id=2), REAL[1]],
    "literal before": [Packet(11, b"b\0\0\0\0\0hello"), *REAL],
    "literal behind": [*REAL, Packet(11, b"b\0\0\0\0\0hello")],
    "marker before": [Packet(10, b"PGP"), *REAL],
    "padding behind": [*REAL, Packet(21, b"hello")],
    "comment behind": [*REAL, Packet(61, b"hello")],
    "octet behind": [*REAL, b"\0"],
    "length too short": [
        REAL[0],
        bytes([0xC0 | SEIPD, 255]),
        (len(REAL[1].body) - 1).to_bytes(4),
        REAL[1].body,
    ],
    "length too long": [
        REAL[0],
        bytes([0xC0 | SEIPD, 255]),
        (len(REAL[1].body) + 1).to_bytes(4),
        REAL[1].body,
    ],
    "plain text": [b"Hello Bob, this is not encrypted at all."],
}


@pytest.mark.parametrize("packets", PACKET_CHANGES.values(), ids=PACKET_CHANGES)
def test_change_of_the_packets_is_refused(packets: list[Packet | bytes]) -> None:
    mail = with_packets(*packets)

    refused(mail)
    with pytest.raises(UnencryptedError):
        check_incoming(bytes(mail))


def part(header: list[bytes], body: bytes = b"Hello\r\n") -> MailPart:
    return MailPart(header, body)


NESTED = bytes(replace(MAIL, header=[], boundary=b"inner"))
MAIL_CHANGES: dict[str, Mail] = {
    "third part": replace(MAIL, parts=[*MAIL.parts, part([b"Content-Type: text/plain"])]),
    "third part in front": replace(MAIL, parts=[part([b"Content-Type: text/plain"]), *MAIL.parts]),
    "no version": replace(MAIL, parts=[DATA]),
    "no data": replace(MAIL, parts=[VERSION_PART]),
    "no part": replace(MAIL, parts=[]),
    "order turned": replace(MAIL, parts=[DATA, VERSION_PART]),
    "version doubled": replace(MAIL, parts=[VERSION_PART, VERSION_PART]),
    "data doubled": replace(MAIL, parts=[DATA, DATA]),
    "other version": MAIL.with_part(0, replace(VERSION_PART, body=b"Version: 2\r\n")),
    "text behind the version": MAIL.with_part(0, replace(VERSION_PART, body=b"Version: 1\r\nHello\r\n")),
    "text beside the version": MAIL.with_part(0, replace(VERSION_PART, body=b"Version: 1 Hello\r\n")),
    "bare LF behind the version": MAIL.with_part(0, replace(VERSION_PART, body=b"Version: 1\n")),
    "long version": MAIL.with_part(0, replace(VERSION_PART, body=b"Version: 1" + b"\r\n" * 2_000)),
    "version as text": MAIL.with_part(0, part([b"Content-Type: text/plain"], b"Version: 1\r\n")),
    "version without a type": MAIL.with_part(0, part([], b"Version: 1\r\n")),
    "data as text": MAIL.with_part(1, part([b"Content-Type: text/plain"], DATA.body)),
    "data as a nested multipart": MAIL.with_part(
        1, part([b"Content-Type: multipart/encrypted; boundary=inner"], NESTED)
    ),
    "data in base64": MAIL.with_part(
        1, part([DATA_HEADER[0], b"Content-Transfer-Encoding: base64"], b64encode(DATA.body))
    ),
    "data quoted-printable": MAIL.with_part(
        1, part([DATA_HEADER[0], b"Content-Transfer-Encoding: quoted-printable"], DATA.body)
    ),
    "data with another type as well": MAIL.with_part(
        1, part([*DATA_HEADER, b"Content-Type: text/plain"], DATA.body)
    ),
    "data with a subject": MAIL.with_part(1, part([*DATA_HEADER, b"Subject: Hello"], DATA.body)),
    "text before the armor": MAIL.with_part(1, replace(DATA, body=b"Hello\r\n" + DATA.body)),
    "text behind the armor": MAIL.with_part(1, replace(DATA, body=DATA.body + b"Hello\r\n")),
    "two armors": MAIL.with_part(1, replace(DATA, body=DATA.body + DATA.body)),
    "no armor": MAIL.with_part(1, replace(DATA, body=real_packets())),
    "version in the armor": MAIL.with_part(
        1, replace(DATA, body=armored(real_packets(), b"Version: Hello\r\n"))
    ),
    "comment in the armor": MAIL.with_part(
        1, replace(DATA, body=armored(real_packets(), b"Comment: Hello\r\n"))
    ),
    "armor of a key": MAIL.with_part(
        1, replace(DATA, body=DATA.body.replace(b"PGP MESSAGE", b"PGP PUBLIC KEY BLOCK"))
    ),
    "armor with bare LF": MAIL.with_part(1, replace(DATA, body=DATA.body.replace(b"\r\n", b"\n"))),
    "preamble": replace(MAIL, before=b"Hello\r\n"),
    "epilogue": replace(MAIL, after=b"\r\nHello\r\n"),
    "other top type": replace(MAIL, content_type=b"multipart/mixed"),
    "alternative": replace(MAIL, content_type=b"multipart/alternative"),
    "signed": replace(MAIL, content_type=b'multipart/signed; protocol="application/pgp-encrypted"'),
    "no protocol": replace(MAIL, content_type=b"multipart/encrypted"),
    "other protocol": replace(MAIL, content_type=b'multipart/encrypted; protocol="application/x"'),
    "second boundary": replace(MAIL, content_type=MAIL.content_type + b'; boundary="other"'),
    "top type twice": replace(MAIL, header=[*MAIL.header, b"Content-Type: text/plain"]),
    "top type twice, the other way": replace(MAIL, header=[b"Content-type: text/plain", *MAIL.header]),
    "top in base64": replace(MAIL, header=[*MAIL.header, b"Content-Transfer-Encoding: base64"]),
    "second From": replace(MAIL, header=[*MAIL.header, b"From: <mallory1@example.org>"]),
    "second subject": replace(MAIL, header=[*MAIL.header, b"Subject: Hello"]),
    "line without a name": replace(MAIL, header=[*MAIL.header, b"Hello"]),
}


@pytest.mark.parametrize("mail", MAIL_CHANGES.values(), ids=MAIL_CHANGES)
def test_change_of_the_mail_is_refused(mail: Mail) -> None:
    assert bytes(mail) != RAW
    refused(mail)


def test_armor_of_other_programs_may_name_its_version_on_the_way_in() -> None:
    check_incoming(bytes(MAIL_CHANGES["version in the armor"]))
    with pytest.raises(UnencryptedError):
        check_incoming(bytes(MAIL_CHANGES["comment in the armor"]))


PLAIN = b"\r\n".join([*mail_header(), b"Content-Type: text/plain", b"", b"Hello", b""])


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PLAIN, id="plain text"),
        pytest.param(PLAIN + b"application/pgp-encrypted multipart/encrypted\r\n", id="marker in the text"),
        pytest.param(
            PLAIN.replace(b"[...]", b"multipart/encrypted application/pgp-encrypted"),
            id="marker in the subject",
        ),
        pytest.param(b"X-Marker: Content-Type: multipart/encrypted\r\n" + PLAIN, id="marker in a header"),
        pytest.param(
            b"Chat-Version: 1.0\r\n Content-Type: multipart/encrypted\r\n" + PLAIN, id="marker in a fold"
        ),
        pytest.param(PLAIN.replace(b"text/plain", b"multipart/encrypted"), id="type alone"),
        pytest.param(PLAIN.replace(b"Hello", armored(real_packets())), id="armor in plain text"),
        pytest.param(PLAIN.replace(b"text/plain", b"application/octet-stream"), id="some file"),
        pytest.param(b"Autocrypt: addr=a@example.org; keydata=AAAA\r\n" + PLAIN, id="a key beside"),
        pytest.param(RAW.replace(b"\r\n", b"\n"), id="bare LF"),
        pytest.param(RAW.replace(b"\r\n", b"\r"), id="bare CR"),
        pytest.param(RAW.replace(b"\r\n\r\n", b"\r\n\n", 1), id="header ended by a bare LF"),
        pytest.param(b"\r\n" + RAW, id="no header"),
        pytest.param(PLAIN.replace(b"Content-Type: text/plain\r\n", b"") + RAW, id="as a text"),
    ],
)
def test_what_only_looks_encrypted_is_refused(raw: bytes) -> None:
    refused(raw)
    with pytest.raises(UnencryptedError):
        check_incoming(raw)


def test_read_receipt_has_no_exception() -> None:
    report = MailPart([b"Content-Type: message/disposition-notification"], b"Disposition: displayed\r\n")
    text = MailPart([b"Content-Type: text/plain"], b"Read\r\n")
    header = [*mail_header(), b"Auto-Submitted: auto-replied"]
    mail = Mail(header, b"multipart/report; report-type=disposition-notification", [text, report])

    refused(mail)
    with pytest.raises(UnencryptedError):
        check_incoming(bytes(mail))


@pytest.mark.parametrize(
    "line",
    [
        b"From: <bob56789@example.org>",
        b"From: <alice1234@example.net>",
        b"From: <alice1234@example.org>, <bob56789@example.org>",
        b"From: alice1234@example.org <bob56789@example.org>",
        b"From: Alice",
        b"X-From: <alice1234@example.org>",
    ],
)
def test_encrypted_mail_under_another_name_is_refused_for_that(line: bytes) -> None:
    mail = MAIL.with_line(b"From: ", line)

    with pytest.raises(WrongFromError, match=r"^Invalid FROM"):
        check_outgoing(bytes(mail), ALICE, [BOB])


def test_case_and_brackets_do_not_make_another_name() -> None:
    check_outgoing(bytes(MAIL.with_line(b"From: ", b"From: Alice <ALICE1234@Example.ORG>")), ALICE, [BOB])
    literal = MAIL.with_line(b"From: ", b"From: <alice1234@[192.0.2.1]>")
    check_outgoing(bytes(literal), "alice1234@192.0.2.1", [BOB])


@given(st.integers(0, len(RAW) - len(b"\r\n") - 1))
def test_mail_cut_off_anywhere_is_refused(end: int) -> None:
    refused(RAW[:end])
