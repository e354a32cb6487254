"""Whatever the bytes and however they are cut: clean replies, and the same ones."""

import re
from base64 import b64encode
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mailnode.accounts.policy import Policy
from support.openpgp_messages import BOB, encrypted_mail, mail_header
from support.smtp_wire import hold_dialogue

# The sender comes into being by its first login: that one needs a password.
SENDER = "carol123@example.org"
LOGIN = b"AUTH PLAIN " + b64encode(f"\0{SENDER}\0a good password".encode()) + b"\r\n"
ENVELOPE_ALONE = f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\nRCPT TO:<{BOB}>\r\n".encode()
ENVELOPE = ENVELOPE_ALONE + b"DATA\r\n"
MESSAGE = bytes(encrypted_mail(sender=SENDER))
PLAIN = b"\r\n".join([*mail_header(SENDER), b"", b"..two dots", b".dot", b""])
DIALOGUE = (
    b"EHLO [127.0.0.1]\r\n"
    + LOGIN
    + ENVELOPE
    + MESSAGE
    + b".\r\nNOOP\r\nXYZZY\r\n"
    + ENVELOPE
    + PLAIN
    + b".\r\n"
    + ENVELOPE
    + MESSAGE.replace(b"\r\n", b"\n.\n", 1)
    + b".\r\n"
    + ENVELOPE
    + b".\r\n"
    + b"NOOP "
    + b"x" * 600
    + b"\r\n"
    + b"NOOP "
    + b"x" * 3_000
    + b"\r\n"
    + ENVELOPE
    + b"x" * 5_000
    + b"\r\n.\r\nRSET\r\n"
    + ENVELOPE_ALONE
    + b"BDAT 9\r\n"
    + MESSAGE[:9]
    + b"BDAT %d LAST\r\n" % (len(MESSAGE) - 9)
    + MESSAGE[9:]
    + ENVELOPE_ALONE
    + b"BDAT 6\r\nQUIT\r\nBDAT 4999\r\n"
    + b"QUIT\r\n".ljust(4_999, b"x")
    + b"BDAT 6 LAST\r\nQUIT\r\n"
    + b"RSET\r\nQUIT\r\nNOOP\r\n"
)
POLICY = Policy(message_bytes=4_096)
WHOLE = hold_dialogue([DIALOGUE], POLICY)

_REPLIES = re.compile(rb"(?:(?:\d{3}-[ -~]*\r\n)*\d{3} [ -~]*\r\n)*")

WORDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b".",
    b"\r\n.\r\n",
    b" ",
    b"EHLO x\r\n",
    b"HELO x\r\n",
    LOGIN,
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN\r\n",
    b"*\r\n",
    b64encode(SENDER.encode()) + b"\r\n",
    b"MAIL FROM:<",
    SENDER.encode(),
    BOB.encode(),
    b">",
    b"RCPT TO:<",
    b"SIZE=100",
    b"DATA\r\n",
    b"BDAT 5\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT %d LAST\r\n" % len(MESSAGE),
    b"BDAT 9999\r\n",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    ENVELOPE,
    MESSAGE,
    PLAIN,
    b"x" * 999,
]
garbage = st.lists(st.sampled_from(WORDS) | st.binary(max_size=20), max_size=20).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


def test_dialogue_itself_is_the_one_that_is_meant() -> None:
    codes = [line[:3] for line in WHOLE.answers.split(b"\r\n") if line[3:4] == b" "]

    accepted = [b"250", b"250", b"354"]
    assert codes == [
        *[b"220", b"250", b"235"],
        *[*accepted, b"250", b"250", b"500"],
        *[*accepted, b"523"],
        *[*accepted, b"554"],
        *[*accepted, b"523"],
        *[b"500", b"500"],
        *[*accepted, b"552"],
        b"250",
        *[b"250"] * 4,
        *[b"250", b"250", b"250", b"552", b"503"],
        *[b"250", b"221"],
    ]
    assert WHOLE.delivered == [MESSAGE] * 2


@given(st.lists(st.integers(0, len(DIALOGUE)), max_size=12))
def test_dialogue_cut_anywhere_leads_to_the_same(places: list[int]) -> None:
    assert hold_dialogue(cut(DIALOGUE, places), POLICY) == WHOLE


@settings(max_examples=5)
@given(st.integers(1, 3))
def test_dialogue_in_single_octets_leads_to_the_same(size_bytes: int) -> None:
    chunks = [DIALOGUE[start : start + size_bytes] for start in range(0, len(DIALOGUE), size_bytes)]

    assert hold_dialogue(chunks, POLICY) == WHOLE


@given(garbage, st.lists(st.integers(0, 10_000), max_size=5), st.booleans())
def test_garbage_gets_clean_replies(data: bytes, places: list[int], is_logged_in: bool) -> None:
    data = b"EHLO x\r\n" + LOGIN + data if is_logged_in else data

    outcome = hold_dialogue(cut(data, places), POLICY)

    assert _REPLIES.fullmatch(outcome.answers), outcome.answers
    assert b"451 4.3.0" not in outcome.answers  # what an exception of ours would give
    assert outcome == hold_dialogue([data], POLICY)


@given(st.binary(max_size=300))
def test_any_octets_get_clean_replies(data: bytes) -> None:
    outcome = hold_dialogue([data], POLICY)

    assert _REPLIES.fullmatch(outcome.answers), outcome.answers
    assert b"451 4.3.0" not in outcome.answers


@given(st.lists(st.binary(max_size=4).filter(lambda line: not set(line) & set(b"\r\n")), max_size=10))
def test_what_is_inside_of_a_message_is_never_a_command(lines: list[bytes]) -> None:
    stuffed = b"".join(b".." + line + b"\r\n" for line in lines)

    outcome = hold_dialogue([b"EHLO x\r\n" + LOGIN + ENVELOPE, stuffed, b".\r\n"])

    assert outcome.answers.count(b"\r\n523 ") == 1
    assert outcome.answers.endswith(b"Mail\r\n")
