"""The SMTP server at port 25: that of submission, with sessions of another kind.

For: the daemon.
Not for: the commands (smtp_session.py).
"""

import asyncio
from dataclasses import dataclass

from mailnode.peering.reception import Reception
from mailnode.peering.smtp_session import PeerSession
from mailnode.smtp.limits import SmtpLimits
from mailnode.smtp.server import SmtpServer

PEER_LIMITS = SmtpLimits(
    sessions=1_000,
    sessions_per_prefix=50,
    login_seconds=300,  # nobody logs in: it is the deadline of every command (RFC 5321 section 4.5.3.2)
    unfinished_bytes=256 << 20,
    mail_rate=None,
)


@dataclass(kw_only=True, eq=False)
class PeerSmtpServer(SmtpServer):
    """Takes mail from servers of others."""

    reception: Reception

    def build_protocol(self, *, is_secure: bool) -> asyncio.Protocol:
        """Build the protocol of a new connection."""
        return PeerSession(self.accounts, self, self.reception, is_secure=is_secure)
