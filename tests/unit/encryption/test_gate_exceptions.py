"""The messages that may go without encryption, and that every single change to them is refused."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailnode.encryption.errors import UnencryptedError
from mailnode.encryption.gate import MAX_SETUP_TEXT_BYTES, check_incoming, check_outgoing
from mailnode.smtp.delivery_report import write_report
from support.openpgp_messages import (
    ALICE,
    BOB,
    SEIPD,
    Mail,
    MailPart,
    encrypted_mail,
    framed,
    join_request,
    real_packets,
    setup_message,
    setup_page,
)

RAW = bytes(encrypted_mail())


def passes(mail: Mail | bytes, recipient: str = BOB) -> None:
    check_outgoing(bytes(mail), ALICE, [recipient])


def refused(mail: Mail | bytes, recipient: str = BOB) -> None:
    with pytest.raises(UnencryptedError, match=r"^Encryption Needed: Invalid Unencrypted Mail$") as refusal:
        check_outgoing(bytes(mail), ALICE, [recipient])
    assert refusal.value.detail


def test_setup_message_to_oneself_passes_on_the_way_out_only() -> None:
    mail = setup_message()

    passes(mail, ALICE)
    refused(mail, BOB)
    with pytest.raises(UnencryptedError):
        check_outgoing(bytes(mail), ALICE, [ALICE, BOB])
    with pytest.raises(UnencryptedError):
        check_incoming(bytes(mail))


@pytest.mark.parametrize("step", [b"vc-request", b"vg-request"])
def test_request_to_join_passes_both_ways(step: bytes) -> None:
    mail = join_request(step, b"\r\nSECURE-JOIN: %b \r\n\r\n" % step)

    passes(mail)
    check_incoming(bytes(mail))


def test_request_of_delta_chat_2_24_repeats_its_message_id_in_the_part_and_passes() -> None:
    mail = join_request()
    header = [*mail.parts[0].header, b"Message-ID: <1@localhost>", b"Content-Transfer-Encoding: 7bit"]

    passes(mail.with_part(0, replace(mail.parts[0], header=header)))
    refused(mail.with_part(0, replace(mail.parts[0], header=[*header, b"Subject: Hello"])))


JOIN = join_request()
JOIN_TEXT = JOIN.parts[0]
JOIN_CHANGES: dict[str, Mail] = {
    "header gone": JOIN.with_line(b"Secure-Join: "),
    "header twice": replace(JOIN, header=[*JOIN.header, b"Secure-Join: vc-request"]),
    "later step": join_request(b"vc-auth-required", b"secure-join: vc-auth-required\r\n"),
    "step in capitals": join_request(b"VC-REQUEST"),
    "step and more": join_request(b"vc-request hello"),
    "other step in the text": join_request(b"vg-request"),
    "text before": join_request(text=b"Hello\r\nsecure-join: vc-request\r\n"),
    "text behind": join_request(text=b"secure-join: vc-request\r\nHello\r\n"),
    "other text": join_request(text=b"Hello\r\n"),
    "no text": join_request(text=b""),
    "second part": replace(JOIN, parts=[JOIN_TEXT, JOIN_TEXT]),
    "HTML": JOIN.with_part(0, replace(JOIN_TEXT, header=[b"Content-Type: text/html"])),
    "not a multipart": replace(JOIN, content_type=b"text/plain"),
    "encoded": JOIN.with_part(
        0, replace(JOIN_TEXT, header=[*JOIN_TEXT.header, b"Content-Transfer-Encoding: base64"])
    ),
    "preamble": replace(JOIN, before=b"Hello\r\n"),
    "epilogue": replace(JOIN, after=b"Hello\r\n"),
}


@pytest.mark.parametrize("mail", JOIN_CHANGES.values(), ids=JOIN_CHANGES)
def test_change_of_a_request_to_join_is_refused(mail: Mail) -> None:
    refused(mail)


SETUP = setup_message()
SETUP_TEXT, SETUP_KEY = SETUP.parts
SETUP_CHANGES: dict[str, Mail] = {
    "header gone": SETUP.with_line(b"Autocrypt-Setup-Message"),
    "other version": SETUP.with_line(b"Autocrypt-Setup-Message", b"Autocrypt-Setup-Message: v2"),
    "other type": replace(SETUP, content_type=b"multipart/alternative"),
    "no key": replace(SETUP, parts=[SETUP_TEXT]),
    "no text": replace(SETUP, parts=[SETUP_KEY]),
    "third part": replace(SETUP, parts=[*SETUP.parts, SETUP_TEXT]),
    "order turned": replace(SETUP, parts=[SETUP_KEY, SETUP_TEXT]),
    "HTML instead of text": SETUP.with_part(0, replace(SETUP_TEXT, header=[b"Content-Type: text/html"])),
    "long text": SETUP.with_part(0, replace(SETUP_TEXT, body=b"x" * (MAX_SETUP_TEXT_BYTES + 1))),
    "no setup": SETUP.with_part(1, replace(SETUP_KEY, header=[b"Content-Type: application/octet-stream"])),
    "no armor": SETUP.with_part(1, replace(SETUP_KEY, body=b"<html>Hello</html>\r\n")),
    "no end of the armor": SETUP.with_part(
        1, replace(SETUP_KEY, body=SETUP_KEY.body.replace(b"END", b"end"))
    ),
    "long page": SETUP.with_part(1, replace(SETUP_KEY, body=SETUP_KEY.body + b"x" * MAX_SETUP_TEXT_BYTES)),
    "comment": SETUP.with_part(
        1, replace(SETUP_KEY, body=SETUP_KEY.body.replace(b"Passphrase-Begin", b"Comment"))
    ),
    "for a public key": setup_message(real_packets()),
    "without a session key": setup_message(framed(SEIPD, bytes(100))),
    "plain text": setup_message(b"This is not encrypted."),
    "broken base64": SETUP.with_part(
        1, replace(SETUP_KEY, header=[SETUP_KEY.header[0], b"Content-Transfer-Encoding: base64"])
    ),
    "unknown encoding": SETUP.with_part(
        1, replace(SETUP_KEY, header=[SETUP_KEY.header[0], b"Content-Transfer-Encoding: x-uuencode"])
    ),
}


@pytest.mark.parametrize("mail", SETUP_CHANGES.values(), ids=SETUP_CHANGES)
def test_change_of_a_setup_message_is_refused(mail: Mail) -> None:
    refused(mail, ALICE)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        (b"base64", b64encode),
        (b"8bit", bytes),
        (b"quoted-printable", lambda page: page.replace(b"=", b"=3D")),
        (b"base64", lambda page: b64encode(page.replace(b"\r\n", b"\n"))),
    ],
)
def test_setup_may_be_encoded(encoding: bytes, encode: Callable[[bytes], bytes]) -> None:
    header = [SETUP_KEY.header[0], b"Content-Transfer-Encoding: " + encoding]

    passes(SETUP.with_part(1, MailPart(header, encode(SETUP_KEY.body) + b"\r\n")), ALICE)


def test_setup_page_may_be_as_long_as_permitted() -> None:
    around = len(setup_page(b""))
    page = SETUP_KEY.body + b"x" * (MAX_SETUP_TEXT_BYTES - around - 2)

    passes(SETUP.with_part(1, replace(SETUP_KEY, body=page)), ALICE)


def report_of_a_mailer_daemon() -> bytes:
    return write_report(
        domain="example.org",
        sender=ALICE,
        refused={BOB: "Mailbox full"},
        message=RAW,
        now_seconds=1_700_000_000,
    )


def test_report_of_a_mailer_daemon_passes_on_the_way_in_only() -> None:
    check_incoming(report_of_a_mailer_daemon())
    refused(report_of_a_mailer_daemon())


def test_report_needs_not_be_written_for_apps() -> None:
    check_incoming(report_of_a_mailer_daemon().replace(b"Secure-Join: vc-request\r\n", b""))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Auto-Submitted: auto-replied", b"Auto-Submitted: no"),
        (b"Auto-Submitted: auto-replied", b"Auto-Submitted: "),
        (b"Auto-Submitted: auto-replied", b"X-Auto-Submitted: auto-replied"),
        (b"From: <mailer-daemon@", b"From: <alice1234@"),
        (b"From: <mailer-daemon@", b"From: mailer-daemon@example.org <alice1234@"),
        (b"From: <mailer-daemon@", b"X-From: <mailer-daemon@"),
        (b"multipart/report", b"multipart/mixed"),
        (b"multipart/report", b"text/plain"),
    ],
)
def test_change_of_a_report_is_refused(old: bytes, new: bytes) -> None:
    raw = report_of_a_mailer_daemon().replace(old, new)

    with pytest.raises(UnencryptedError):
        check_incoming(raw)
