"""How many sessions a server holds, and how long they may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """The limits of one server.

    sessions: open connections in all.
    sessions_per_prefix: open connections from one customer's network (`accounts.rate_limit.find_prefix`).
        Mobile networks put many people behind one address, so this is no small number.
    sessions_per_account: logged in at once. A device needs one or two; each may make the node hold a message.
    login_seconds: how long a connection may be open without a login.
    inactivity_seconds: how long a user may be silent outside IDLE; 30 minutes by RFC 3501 section 5.4.
    keepalive_seconds: how often a quiet IDLE gets a word. Delta Chat gives up on silence after 5 minutes, and
        address translators sooner.
    farewell_seconds: how long a client has to take its BYE.
    """

    sessions: int = 20_000
    sessions_per_prefix: int = 1_000
    sessions_per_account: int = 50
    login_seconds: float = 60
    inactivity_seconds: float = 30 * 60
    keepalive_seconds: float = 120
    farewell_seconds: float = 5
