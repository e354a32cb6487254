"""Why a command does not end well.

The text of each is shown to the client, so it reveals nothing and never repeats what the client sent.

    ImapError
    ├── BadCommandError        tagged BAD: the client made a mistake in syntax or order
    ├── RefusedError           tagged NO, with a response code where one fits
    ├── AppendRefusedError     tagged NO [CANNOT]: the gate for appended messages does not let it pass
    ├── SessionEndedError      * BYE, then the connection is closed
    └── ConnectionClosedError  the client has gone; there is nobody to answer
"""

from enum import StrEnum


class ResponseCode(StrEnum):
    """Machine-readable reasons. Source: RFC 3501 section 7.1, RFC 5530 section 3, RFC 7889 section 4."""

    ALREADY_EXISTS = "ALREADYEXISTS"
    AUTHENTICATION_FAILED = "AUTHENTICATIONFAILED"
    BAD_CHARSET = "BADCHARSET (US-ASCII UTF-8)"
    CANNOT = "CANNOT"
    EXPUNGE_ISSUED = "EXPUNGEISSUED"
    LIMIT = "LIMIT"
    NO_PERMISSION = "NOPERM"
    NONEXISTENT = "NONEXISTENT"
    OVER_QUOTA = "OVERQUOTA"
    PRIVACY_REQUIRED = "PRIVACYREQUIRED"
    SERVER_BUG = "SERVERBUG"
    TOO_BIG = "TOOBIG"
    TRY_CREATE = "TRYCREATE"
    UNAVAILABLE = "UNAVAILABLE"


class ImapError(Exception):
    """Whatever keeps a command from ending with OK; `text` is safe to show."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BadCommandError(ImapError):
    """The command is not one, or not now."""


class RefusedError(ImapError):
    """The command is understood and refused; `code` stands in brackets before the text."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class AppendRefusedError(ImapError):
    """The gate does not let a message in. Raised by the `append_gate` that the server is given."""


class SessionEndedError(ImapError):
    """The session cannot go on."""


class ConnectionClosedError(ImapError):
    """The client has gone while a command was at work."""

    def __init__(self) -> None:
        super().__init__("the connection is closed")
