"""From DATA to a message, and reports about messages."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.smtp import message_text, replies
from mailnode.smtp.delivery_report import have_apps_read, write_report
from mailnode.smtp.message_text import check_message, clean_header, make_message
from mailnode.smtp.replies import SmtpReply
from mailnode.smtp.syntax import CommandError

ENOUGH = 1 << 20
lines = st.lists(st.text(".abc \t\0", max_size=5).map(str.encode), max_size=20)


LONE_ENDS = ["\n", "\r", "\r\r\n", "\n\r", "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n\n", "\n\n"]


def stuffed(message: bytes) -> bytes:
    """Stuff dots as RFC 5321 section 4.5.2 says, behind the CRLF that the reader leaves in front."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")


def assert_refused(data: bytes, reply: SmtpReply, max_bytes: int = ENOUGH) -> None:
    with pytest.raises(CommandError) as refusal:
        make_message(data, max_bytes)
    assert refusal.value.reply == reply


@given(lines)
def test_dots_survive_being_stuffed(content: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in content)

    assert make_message(stuffed(message), ENOUGH) == message


@pytest.mark.parametrize("piece_bytes", [7, 8, 20])  # a line and two ends fit in
@given(lines.filter(lambda content: all(len(line) < 3 for line in content)))
def test_message_in_pieces_is_the_same_as_in_one(piece_bytes: int, content: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in content)
    came = bytearray(stuffed(message))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_text, "PIECE_BYTES", piece_bytes)

        assert make_message(came, len(message)) == message
        assert len(came) <= max(piece_bytes, len(b"\r\n\r\n"))  # nobody needs it any more
        assert check_message(message, len(message)) == message
        in_chunks = bytearray(message)
        assert check_message(in_chunks, len(message)) == message
        assert len(in_chunks) <= piece_bytes
        if message:
            assert_refused(stuffed(message), replies.MESSAGE_TOO_LARGE, len(message) - 1)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"."]), max_size=30).map(b"".join))
def test_piece_by_piece_no_lone_end_passes(content: bytes) -> None:
    came = b"\r\n" + content + b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_text, "MAX_LINE_BYTES", 6)  # with the CRLF before it, a line fits into a piece
        in_one = _judge(came)
        patch.setattr(message_text, "PIECE_BYTES", 8)
        assert _judge(came) == in_one


def _judge(came: bytes) -> bytes | None:
    try:
        return make_message(came, ENOUGH)
    except CommandError:
        return None


def test_dot_that_was_not_stuffed_is_taken_off() -> None:
    assert make_message(b"\r\n.a\r\n.b\r\n", ENOUGH) == b"a\r\nb\r\n"


def test_size_is_that_of_the_message_and_not_of_its_dots() -> None:
    message = b".\r\n" * 10

    assert make_message(stuffed(message), len(message)) == message
    assert_refused(stuffed(message), replies.MESSAGE_TOO_LARGE, len(message) - 1)


@pytest.mark.parametrize("place", ["", "a", "\r\n", "a\r\nb"])
@pytest.mark.parametrize(
    "end", ["\n", "\r", "\r\r\n", "\n\r", "\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n\n", "\n\n"]
)
def test_lone_cr_or_lf_is_refused(place: str, end: str) -> None:
    assert_refused(f"\r\n{place}{end}b\r\n".encode(), replies.BARE_LINE_END)


@pytest.mark.parametrize("before", [0, 1, 20])
def test_lines_of_998_octets_are_the_longest(before: int) -> None:
    start = b"\r\n" + b"short\r\n" * before

    for after in (b"", b"\r\n", b"\r\nshort\r\n"):
        make_message(start + b"x" * 998 + b"\r\n" + after, ENOUGH)
        assert_refused(start + b"x" * 999 + b"\r\n" + after, replies.TEXT_LINE_TOO_LONG)


@given(st.lists(st.integers(980, 1_010), min_size=1, max_size=6))
def test_line_is_judged_wherever_it_is(lengths: list[int]) -> None:
    data = b"\r\n" + b"".join(b"x" * length + b"\r\n" for length in lengths)

    if max(lengths) > 998:
        assert_refused(data, replies.TEXT_LINE_TOO_LONG)
    else:
        assert make_message(data, ENOUGH) == data[2:]


MESSAGE = (
    b"From: <a@b>\r\nSubject: [...]\r\nContent-Type: text/plain\r\n\r\n"
    b"Subject: in the text\r\nReceived: too\r\n"
)


def test_message_that_tells_nothing_is_left_alone() -> None:
    assert clean_header(MESSAGE) is MESSAGE


@pytest.mark.parametrize(
    "field",
    [
        b"Received: from phone ([192.0.2.7])\r\n\tby mail.example.org;\r\n Sun, 22 Nov 2026\r\n",
        b"X-Originating-IP: 192.0.2.7\r\n",
        b"X-Mailer: Mailer 1.0\r\n",
        b"user-agent : Mailer 1.0\r\n",
        b"RECEIVED: a\r\nReceived: b\r\n",
        b"Bcc: <c@example.org>,\r\n <d@example.org>\r\n",
        b"Resent-Bcc: <c@example.org>\r\n",
        b"DKIM-Signature: v=1; d=example.org;\r\n\tb=QUJD\r\n",
        b"Authentication-Results: mail.example.org; dkim=pass header.d=example.org\r\n",
        b"ARC-Seal: i=1; cv=none\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=1; x\r\n",
        b"Return-Path: <a@b>\r\n",
        b"Delivered-To: a@b\r\n",
        b"X-Original-To: a@b\r\n",
    ],
)
def test_field_that_a_sender_must_not_tell_or_claim_is_dropped(field: bytes) -> None:
    for message in (field + MESSAGE, MESSAGE.replace(b"Content-Type", field + b"Content-Type")):
        assert clean_header(message) == MESSAGE
    assert clean_header(MESSAGE.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n", 1)) == MESSAGE


@pytest.mark.parametrize(
    "field", [b"Subject: Hello", b"SUBJECT:Hello\r\n World", b"subject :\r\n\tHello", b"Subject: [...] Hello"]
)
def test_subject_is_replaced(field: bytes) -> None:
    assert clean_header(MESSAGE.replace(b"Subject: [...]", field)) == MESSAGE


def test_other_fields_of_similar_names_stay() -> None:
    message = (
        b"Thread-Subject: x\r\nX-Received: y\r\nReceived-SPF: z\r\nARC: 1\r\nX-Bcc: a\r\nBcc-Count: 1\r\n"
        b"X-DKIM-Signature: b\r\nOld-Authentication-Results: c\r\n" + MESSAGE
    )

    assert clean_header(message) is message


def test_header_without_text_is_cleaned_too() -> None:
    assert clean_header(b"X-Mailer: x\r\nFrom: <a@b>\r\n\r\n") == b"From: <a@b>\r\n\r\n"
    assert clean_header(b"Subject: x") == b"Subject: [...]"


@given(
    st.lists(
        st.sampled_from(
            [b"Received: x", b" folded", b"From: <a@b>", b"X-Mailer:", b"\tz", b"A: b", b"Bcc: c"]
        ),
        max_size=8,
    )
)
def test_no_telling_field_is_left(header: list[bytes]) -> None:
    cleaned = clean_header(b"".join(line + b"\r\n" for line in [b"A: first", *header]) + b"\r\nText\r\n")

    assert not {b"received", b"x-mailer", b"bcc"} & {
        line.partition(b":")[0].lower() for line in cleaned.split(b"\r\n")
    }
    assert cleaned.startswith(b"A: first\r\n")
    assert cleaned.endswith(b"\r\n\r\nText\r\n")


def parsed_report(message: bytes, *recipients: str) -> EmailMessage:
    raw = write_report(
        domain="example.org",
        sender="alice1234@example.org",
        refused=dict.fromkeys(recipients, "Mailbox full"),
        message=message,
        now_seconds=1_700_000_000,
    )
    assert make_message(stuffed(raw), ENOUGH) == raw
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_report_is_one_as_other_programs_read_it() -> None:
    report = parsed_report(MESSAGE, "bob56789@example.org", "carol123@example.org")

    assert report["From"] == "mailer-daemon@example.org"
    assert report["To"] == "alice1234@example.org"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Secure-Join"] == "vc-request"  # without it, Delta Chat would not look at it
    assert report["Date"].datetime.timestamp() == 1_700_000_000
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, headers = report.iter_parts()
    assert "bob56789@example.org" in text.as_string()
    _, *failed = status.iter_parts()
    assert [block["Final-Recipient"] for block in failed] == [
        "rfc822; bob56789@example.org",
        "rfc822; carol123@example.org",
    ]
    assert {block["Action"] for block in failed} == {"failed"}
    assert {block["Status"] for block in failed} == {"5.2.2"}
    assert headers.get_content_type() == "text/rfc822-headers"


def test_report_of_another_server_is_read_by_apps_too() -> None:
    report = b"From: <mailer-daemon@example.org>\r\nContent-Type:\r\n multipart/report; boundary=x\r\n\r\n"

    read = have_apps_read(report)

    assert email.message_from_bytes(read)["Secure-Join"] == "vc-request"
    assert read.endswith(report)
    assert have_apps_read(read) == read


@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: multipart/encrypted\r\n\r\nContent-Type: multipart/report\r\n",
        b"X-Content-Type: multipart/report\r\n\r\n",
        b"Content-Type: multipart/reports\r\n\r\n",
        b"Content-Type: multipart/report\r\n",
        b"",
    ],
)
def test_other_mail_stays_as_it_is(message: bytes) -> None:
    assert have_apps_read(message) == message


def test_report_shows_which_message_it_was_and_not_its_text() -> None:
    message = b"Message-ID: <1@localhost>\r\nX-Secret: no\r\nDate: today\r\n\r\nText\r\n"

    shown = list(parsed_report(message, "bob56789@example.org").iter_parts())[2].as_string()

    assert "Message-ID: <1@localhost>" in shown
    assert "Date: today" in shown
    assert "Secret" not in shown
    assert "Text" not in shown


def test_report_about_a_message_without_a_header_is_written_too() -> None:
    assert len(list(parsed_report(b"", "bob56789@example.org").iter_parts())) == 3
