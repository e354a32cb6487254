"""What we answer: a code for programs, a status code for better ones, a text for people.

For: everything in this package that decides about a reply.
Not for: the lines of EHLO's answer (session.py). No text tells how this node is set up.

Source: RFC 5321 section 4.2, RFC 2034, RFC 3463, RFC 4954 section 6.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """One reply. `enhanced` is empty where RFC 2034 section 4 wants none: 220, 334 and 354."""

    code: int
    enhanced: str
    text: str
    line: bytes = field(init=False, repr=False, compare=False)
    """The reply as a line; most are written again and again."""

    def __post_init__(self) -> None:
        """Write the line."""
        status = f"{self.enhanced} " if self.enhanced else ""
        line = f"{self.code} {status}{self.text}\r\n".encode("ascii", "replace")
        object.__setattr__(self, "line", line)  # frozen, and this is still the making of it

    @property
    def is_success(self) -> bool:
        """Whether the command was carried out."""
        return self.code < 400

    def encode(self) -> bytes:
        """Write the reply as a line."""
        return self.line


OK = SmtpReply(250, "2.0.0", "OK")
SENDER_OK = SmtpReply(250, "2.1.0", "OK")
RECIPIENT_OK = SmtpReply(250, "2.1.5", "OK")
CHUNK_OK = SmtpReply(250, "2.0.0", "Chunk taken")
ACCEPTED = SmtpReply(250, "2.6.0", "Accepted")
HELP = SmtpReply(214, "2.0.0", "See RFC 5321")
BYE = SmtpReply(221, "2.0.0", "Bye")
LOGGED_IN = SmtpReply(235, "2.7.0", "Authentication succeeded")
NOT_VERIFIED = SmtpReply(252, "2.5.2", "Send some mail to find out")
START_TLS = SmtpReply(220, "2.0.0", "Ready to start TLS")
START_DATA = SmtpReply(354, "", "End data with <CR><LF>.<CR><LF>")

SHUTTING_DOWN = SmtpReply(421, "4.3.2", "The server is restarting, come back soon")
TIMED_OUT = SmtpReply(421, "4.4.2", "Nothing heard for too long")
TOO_MANY_CONNECTIONS = SmtpReply(421, "4.7.0", "Too many connections, try again later")
TOO_MANY_ERRORS = SmtpReply(421, "4.7.0", "Too many errors")
ACCOUNT_CHANGED = SmtpReply(421, "4.7.0", "Log in again")
NO_ROOM = SmtpReply(421, "4.3.1", "Too many large messages at this moment, try again later")
TOO_MUCH_DATA = SmtpReply(421, "4.3.4", "Far too much data")
TOO_MUCH_MAIL = SmtpReply(450, "4.7.1", "Too much mail, try again later")
INTERNAL_ERROR = SmtpReply(451, "4.3.0", "Something went wrong, try again later")
TRY_LATER = SmtpReply(452, "4.3.1", "The server cannot store mail now, try again later")
TOO_MANY_RECIPIENTS = SmtpReply(
    452, "4.5.3", "Too many recipients, send to the others in another transaction"
)
LOGIN_UNAVAILABLE = SmtpReply(454, "4.7.0", "Cannot check this now, try again later")

BAD_SYNTAX = SmtpReply(500, "5.5.2", "This is not a command")
LINE_TOO_LONG = SmtpReply(500, "5.5.2", "Line too long")
UNKNOWN_COMMAND = SmtpReply(500, "5.5.1", "Unknown command")
BAD_ARGUMENT = SmtpReply(501, "5.5.4", "Wrong or missing argument")
BAD_RECIPIENT = SmtpReply(501, "5.1.3", "This is not an address")
BAD_CREDENTIALS = SmtpReply(501, "5.5.2", "Cannot decode this")
LOGIN_ABORTED = SmtpReply(501, "5.7.0", "Authentication aborted")
NOT_IMPLEMENTED = SmtpReply(502, "5.5.1", "Not implemented")
BAD_SEQUENCE = SmtpReply(503, "5.5.1", "Not now: wrong order of commands")
UNKNOWN_MECHANISM = SmtpReply(504, "5.5.4", "Unknown authentication mechanism")
TLS_NEEDED = SmtpReply(530, "5.7.0", "Must issue a STARTTLS command first")
LOGIN_NEEDED = SmtpReply(530, "5.7.0", "Authentication required")
LOGIN_REFUSED = SmtpReply(535, "5.7.8", "Authentication credentials invalid")
UNKNOWN_RECIPIENT = SmtpReply(550, "5.1.1", "No such user here")
FOREIGN_RECIPIENT = SmtpReply(550, "5.7.1", "This server delivers within its own fleet only")
MAILBOX_FULL = SmtpReply(552, "5.2.2", "Mailbox full")
MESSAGE_TOO_LARGE = SmtpReply(552, "5.3.4", "Message too large")
FOREIGN_SENDER = SmtpReply(553, "5.7.1", "You may send as the address you logged in with only")
BARE_LINE_END = SmtpReply(554, "5.5.2", "Lines must end with CRLF, and CR or LF must not stand alone")
TEXT_LINE_TOO_LONG = SmtpReply(554, "5.5.2", "A line of the message is longer than 998 octets")
UNKNOWN_PARAMETER = SmtpReply(555, "5.5.4", "Parameter not recognized")
