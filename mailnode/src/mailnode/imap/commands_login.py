"""The commands before and around a login: CAPABILITY, ID, ENABLE, STARTTLS, LOGIN, AUTHENTICATE.

Source: RFC 3501 sections 6.1 and 6.2, RFC 2971, RFC 4616, RFC 4959, RFC 5161.
"""

import base64
import binascii

from mailnode.accounts.errors import LoginRefusedError, LoginUnavailableError
from mailnode.imap.commands import Authenticate, Login
from mailnode.imap.errors import BadCommandError, RefusedError, ResponseCode, SessionEndedError
from mailnode.imap.session import Session

MAX_FAILED_LOGINS = 5
BEGIN_TLS = b"OK Begin TLS now"

_ALWAYS = b"IMAP4rev1 LITERAL+ ID ENABLE"
_BEFORE_TLS = _ALWAYS + b" STARTTLS LOGINDISABLED"
_BEFORE_LOGIN = _ALWAYS + b" SASL-IR AUTH=PLAIN"
# XCHATMAIL tells Delta Chat up to 2.60 that only encrypted mail passes here. There is no XDELTAPUSH, for
# tokens are kept but nobody is notified yet. COMPRESS would cost more memory for a session than all else.
_AFTER_LOGIN = (
    _ALWAYS + b" IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE QUOTA QUOTA=RES-STORAGE METADATA XCHATMAIL"
)


def capability_names(*, is_secure: bool, is_logged_in: bool) -> bytes:
    """List what may be used now."""
    if is_logged_in:
        return _AFTER_LOGIN
    return _BEFORE_LOGIN if is_secure else _BEFORE_TLS


def capability(session: Session) -> bytes:
    """Tell what may be used now."""
    session.say(b"* CAPABILITY %s\r\n" % _names_for(session))
    return b"OK That is all"


def identify(session: Session) -> bytes:
    """Tell what we are; no version, which would help only an attacker."""
    session.say(b'* ID ("name" "mailnode")\r\n')
    return b"OK Pleased to meet you"


def enable(session: Session) -> bytes:
    """Enable none of what was asked for: nothing here needs it, and the client is to ask anyway."""
    session.require_account()
    session.say(b"* ENABLED\r\n")
    return b"OK Nothing needed enabling"


def start_tls(session: Session) -> bytes:
    """Agree to TLS; it begins behind the response."""
    if session.wire.is_secure:
        raise BadCommandError("TLS is on already")
    return BEGIN_TLS


async def login(session: Session, command: Login) -> bytes:
    """Log in by name and password."""
    _check_allowed(session)
    return await _log_in(session, command.user, command.password)


async def authenticate(session: Session, command: Authenticate, tag: bytes) -> bytes | None:
    """Log in by SASL; `None` when the client's response is to follow."""
    _check_allowed(session)
    if command.mechanism != b"PLAIN":
        raise RefusedError(ResponseCode.CANNOT, "Only PLAIN is known")
    if command.initial_response is None:
        session.flush(b"+ \r\n")
        session.sasl_tag = tag
        return None
    return await authenticate_plain(session, command.initial_response)


async def authenticate_plain(session: Session, response: bytes) -> bytes:
    """Log in by the response to PLAIN, in base64. Source: RFC 4616 section 2.

    Raises:
        BadCommandError: The client gives up, or the response is broken.
        RefusedError: The login is not accepted.
    """
    if response == b"*":
        raise BadCommandError("Given up")
    try:
        acting_for, user, password = base64.b64decode(response, validate=True).split(b"\0")
    except (binascii.Error, ValueError) as error:
        raise BadCommandError("That is no response to PLAIN") from error
    if acting_for not in (b"", user):
        raise RefusedError(ResponseCode.AUTHENTICATION_FAILED, "Nobody may act for others")
    return await _log_in(session, user, password)


def _check_allowed(session: Session) -> None:
    if session.is_logged_in:
        raise BadCommandError("You are logged in already")
    if not session.wire.is_secure:
        raise RefusedError(ResponseCode.PRIVACY_REQUIRED, "Use STARTTLS first")


async def _log_in(session: Session, user: bytes, password: bytes) -> bytes:
    try:
        account = await session.context.accounts.log_in(
            user.decode(), password.decode(), session.wire.client_address
        )
    except (LoginRefusedError, UnicodeDecodeError) as error:
        session.failed_logins += 1
        if session.failed_logins >= MAX_FAILED_LOGINS:
            raise SessionEndedError("Too many failed logins") from error
        raise RefusedError(ResponseCode.AUTHENTICATION_FAILED, "Authentication failed") from error
    except LoginUnavailableError as error:
        # Delta Chat tells the user that the password is wrong if this text has the word authentication in it.
        raise RefusedError(ResponseCode.UNAVAILABLE, "Busy, try again later") from error
    session.log_in(account)
    return b"OK [CAPABILITY %s] Logged in" % _names_for(session)


def _names_for(session: Session) -> bytes:
    return capability_names(is_secure=session.wire.is_secure, is_logged_in=session.is_logged_in)
