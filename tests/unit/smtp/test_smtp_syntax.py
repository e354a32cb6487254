"""Commands, credentials and replies."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.smtp import replies
from mailnode.smtp.credentials import challenge, read_plain, read_word
from mailnode.smtp.replies import SmtpReply
from mailnode.smtp.syntax import Command, CommandError, read_command, read_mail_parameters, read_path

words = st.characters(exclude_characters="\0", codec="utf-8")


def encode(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"NOOP", Command(b"NOOP", "")),
        (b"noop", Command(b"NOOP", "")),
        (b"NOOP ", Command(b"NOOP", "")),
        (b"EHLO [127.0.0.1]", Command(b"EHLO", "[127.0.0.1]")),
        (b"MAIL FROM:<a@b>  ", Command(b"MAIL", "FROM:<a@b>")),
        ("NOOP é".encode(), Command(b"NOOP", "é")),
    ],
)
def test_command_is_read(line: bytes, command: Command) -> None:
    assert read_command(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" NOOP",
        b"NO",
        b"NOOP\n",
        b"NOOP x\ny",
        b"NOOP x\ry",
        b"NOOP\0",
        b"NOOP x\0",
        b"NOOP \xff",
        b"NO-OP",
    ],
)
def test_line_that_is_no_command_is_refused(line: bytes) -> None:
    with pytest.raises(CommandError) as refusal:
        read_command(line)
    assert refusal.value.reply == replies.BAD_SYNTAX


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<a@example.org>", "a@example.org", {}),
        ("from: <a@example.org>", "a@example.org", {}),
        ("FROM:<>", "", {}),
        ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", {}),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", {}),
        ('FROM:<"a b"@example.org>', '"a b"@example.org', {}),
        ("FROM:<é@example.org> SMTPUTF8", "é@example.org", {"SMTPUTF8": None}),
        ("FROM:<a@b> BODY=8BITMIME  size=5", "a@b", {"BODY": "8BITMIME", "SIZE": "5"}),
    ],
)
def test_path_is_read(argument: str, address: str, parameters: dict[str, str | None]) -> None:
    path = read_path("FROM", argument, replies.BAD_ARGUMENT)

    assert (path.address, path.parameters) == (address, parameters)


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "FROM:",
        "FROM:a@example.org",
        "FROM:<a@example.org",
        "FROM:<a@example.org>x",
        "FROM:<a>",
        "FROM:<@example.org>",
        "FROM:<a@>",
        "FROM:<a b@example.org>",
        "FROM:<a@b@example.org>",
        "FROM:<@relay:a@example.org>",
        "FROM:<a@example.org,b@example.org>",
        "FROM:<a@example.org> SIZE",
        "FROM:<a@example.org> SIZE=1 SIZE=2",
        "FROM:<a@example.org> =1",
        "FROM:<a@example.org> SIZE=",
        "TO:<a@example.org>",
    ],
)
def test_path_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(CommandError) as refusal:
        read_mail_parameters(read_path("FROM", argument, replies.BAD_ARGUMENT).parameters)
    assert refusal.value.reply == replies.BAD_ARGUMENT


@pytest.mark.parametrize(
    ("parameters", "size_bytes"),
    [
        ({}, None),
        ({"SIZE": "0"}, 0),
        ({"SIZE": "123", "BODY": "7BIT"}, 123),
        ({"BODY": "8BITMIME", "SMTPUTF8": None}, None),
        ({"AUTH": "<>"}, None),
    ],
)
def test_parameters_of_mail_are_understood(parameters: dict[str, str | None], size_bytes: int | None) -> None:
    assert read_mail_parameters(parameters) == size_bytes


@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        ({"SIZE": None}, replies.BAD_ARGUMENT),
        ({"SIZE": "-1"}, replies.BAD_ARGUMENT),
        ({"SIZE": "x"}, replies.BAD_ARGUMENT),
        ({"SIZE": "²"}, replies.BAD_ARGUMENT),
        ({"SIZE": "9" * 21}, replies.BAD_ARGUMENT),
        ({"BODY": "BINARYMIME"}, replies.BAD_ARGUMENT),
        ({"SMTPUTF8": "1"}, replies.BAD_ARGUMENT),
        ({"AUTH": None}, replies.BAD_ARGUMENT),
        ({"RET": "HDRS"}, replies.UNKNOWN_PARAMETER),
    ],
)
def test_parameters_that_are_wrong_are_refused(parameters: dict[str, str | None], reply: SmtpReply) -> None:
    with pytest.raises(CommandError) as refusal:
        read_mail_parameters(parameters)
    assert refusal.value.reply == reply


@given(
    st.text(min_size=1).filter(lambda text: "\0" not in text), st.text().filter(lambda text: "\0" not in text)
)
def test_plain_credentials_survive_their_encoding(login: str, password: str) -> None:
    for identity in ("", login):
        encoded = encode(f"{identity}\0{login}\0{password}".encode())

        assert read_plain(encoded) == (login, password)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "=",
        "AA=",
        "!!!!",
        "é",
        "AGEAYg==x",
        encode(b"no separator"),
        encode(b"\0login"),
        encode(b"\0\0password"),
        encode(b"\0a\0b\0c"),
        encode(b"\0\xff\0password"),
        encode(b"bob@example.org\0alice@example.org\0password"),
    ],
)
def test_credentials_that_are_malformed_are_refused(encoded: str) -> None:
    with pytest.raises(CommandError) as refusal:
        read_plain(encoded)
    assert refusal.value.reply == replies.BAD_CREDENTIALS


def test_login_word_is_decoded() -> None:
    assert read_word(encode("é".encode())) == "é"
    assert read_word("=") == ""


def test_challenge_is_base64() -> None:
    assert challenge("Username:").encode() == b"334 VXNlcm5hbWU6\r\n"
    assert challenge("").encode() == b"334 \r\n"


ALL_REPLIES = [value for value in vars(replies).values() if isinstance(value, SmtpReply)]


@pytest.mark.parametrize("reply", ALL_REPLIES, ids=str)
def test_reply_is_one_short_line_and_its_codes_agree(reply: SmtpReply) -> None:
    line = reply.encode()

    assert line.endswith(b"\r\n")
    assert len(line) <= 512
    assert line.count(b"\n") == line.count(b"\r") == 1
    assert reply.code == 354 or reply.enhanced[0] == str(reply.code)[0]


def test_reply_is_ascii_whatever_it_says() -> None:
    assert SmtpReply(500, "5.6.0", "Invalid FROM <é>").encode() == b"500 5.6.0 Invalid FROM <?>\r\n"
