"""How much a client may ask for, and how long it may take.

For: the daemon, which may pass other figures, and tests, which pass small ones.
Not for: what the control plane decides (accounts.policy): message size and quota.
"""

from dataclasses import dataclass, field

from mailnode.accounts.rate_limit import RateLimit

MAX_COMMAND_BYTES = 512
"""RFC 5321 section 4.5.3.1.4, CRLF included."""

MAX_LONG_COMMAND_BYTES = 2_048
"""MAIL and RCPT have parameters and addresses in UTF-8 (RFC 6531 section 3.4), AUTH has credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpLimits:
    """Bounds of sessions.

    sessions, sessions_per_prefix: open connections, in all and from one customer's network.
    login_seconds: for every command until the login.
    idle_seconds: for every command after it; RFC 5321 section 4.5.3.2.7 wants five minutes.
    data_seconds: for a whole message.
    unfinished_bytes: of messages that are coming or being judged, in all sessions together.
    farewell_seconds: for a client to take our last words.
    recipients: in one transaction.
    errors: protocol errors and failed logins; an accepted message forgives them.
    mail_rate: messages of one account; `None` for no limit.
    """

    sessions: int = 5_000
    sessions_per_prefix: int = 1_000
    login_seconds: float = 60
    idle_seconds: float = 300
    data_seconds: float = 600
    unfinished_bytes: int = 512 << 20
    farewell_seconds: float = 5
    recipients: int = 1_000
    errors: int = 10
    mail_rate: RateLimit | None = field(default_factory=lambda: RateLimit(per_minute=60, burst=10))
