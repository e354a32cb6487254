"""Read SMTP commands: verb, path and parameters.

For: session.py. Pure functions on one line each.
Not for: whether a command may come now, or whether an address exists.

Source: RFC 5321 sections 4.1.1 and 4.1.2, RFC 6531 section 3.3 (addresses in UTF-8), RFC 1870 (SIZE).
Stricter: no source routes, no comments, no white space around `<`.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mailnode.smtp.replies import (
    BAD_ARGUMENT,
    BAD_SYNTAX,
    UNKNOWN_PARAMETER,
    SmtpReply,
)

LONG_COMMANDS = frozenset((b"MAIL", b"RCPT", b"AUTH"))
MAX_SIZE_DIGITS = 20

_COMMAND = re.compile(rb"([A-Za-z]{4,8})(?: ([^\0\r\n]*))?")
_ATOM = r"[!#$%&'*+/=?^_`{|}~0-9A-Za-z\x80-\U0010ffff-]+"
_ADDRESS = (
    rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")'
    r"@(?:[0-9A-Za-z_\x80-\U0010ffff][0-9A-Za-z.\x80-\U0010ffff_-]*|\[[0-9A-Za-z:.]+\])"
)
_PATH = re.compile(rf"(FROM|TO): ?<({_ADDRESS})?>(?: +(.*))?", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Z0-9][A-Z0-9-]*)(?:=([!-<>-~\x80-\U0010ffff]+))?")


class CommandError(Exception):
    """The command is wrong; `reply` says how."""

    def __init__(self, reply: SmtpReply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Command(NamedTuple):
    """One command: the verb in capitals, what follows it without the space between."""

    verb: bytes
    argument: str


class Path(NamedTuple):
    """What MAIL or RCPT names; `address` is empty for `<>`. Parameters' names are in capitals."""

    address: str
    parameters: Mapping[str, str | None]


def read_command(line: bytes) -> Command:
    """Read a line without its CRLF.

    Raises:
        CommandError: It does not begin with a verb, is no UTF-8, or has a lone CR or LF in it.
    """
    match = _COMMAND.fullmatch(line.rstrip(b" "))
    if match is None:
        raise CommandError(BAD_SYNTAX)
    try:
        argument = (match[2] or b"").decode()
    except UnicodeDecodeError as error:
        raise CommandError(BAD_SYNTAX) from error
    return Command(match[1].upper(), argument.strip(" "))


def read_path(keyword: str, argument: str, bad_address: SmtpReply) -> Path:
    """Read `FROM:<...>` or `TO:<...>` with its parameters.

    Raises:
        CommandError: It is malformed (with `bad_address`), or a parameter is, or is there twice.
    """
    match = _PATH.fullmatch(argument)
    if match is None or match[1].upper() != keyword:
        raise CommandError(bad_address)
    parameters: dict[str, str | None] = {}
    for word in (match[3] or "").split():
        parameter = _PARAMETER.fullmatch(word.upper())
        if parameter is None or parameter[1] in parameters:
            raise CommandError(BAD_ARGUMENT)
        parameters[parameter[1]] = parameter[2]
    return Path(match[2] or "", parameters)


def read_mail_parameters(parameters: Mapping[str, str | None]) -> int | None:
    """Check the parameters of MAIL; return the size that the message is said to have, if it is said.

    AUTH= (RFC 4954 section 5) is understood and, as the RFC permits, not trusted.

    Raises:
        CommandError: One is unknown or has a wrong value.
    """
    size_bytes = None
    for name, value in parameters.items():
        match name, value:
            case "SIZE", str() if value.isascii() and value.isdigit() and len(value) <= MAX_SIZE_DIGITS:
                size_bytes = int(value)
            case ("BODY", "7BIT" | "8BITMIME") | ("SMTPUTF8", None) | ("AUTH", str()):
                pass
            case "SIZE" | "BODY" | "SMTPUTF8" | "AUTH", _:
                raise CommandError(BAD_ARGUMENT)
            case _:
                raise CommandError(UNKNOWN_PARAMETER)
    return size_bytes
