"""Users of a whole fleet, who see whether what an admin changes is so."""

import imaplib
import re
import secrets
import smtplib
from dataclasses import dataclass, field
from datetime import datetime

from fleet_plan import FleetPlan
from support.openpgp_messages import encrypted_mail
from support.whole_fleet import WholeFleet, trust_all

TURN = "/shared/vendor/deltachat/turn"
WAIT_SECONDS = 10


@dataclass(frozen=True)
class User:
    """Somebody with an account."""

    fleet: WholeFleet
    address: str
    password: str = field(repr=False)

    @property
    def plan(self) -> FleetPlan:
        """The plan of the node that his account is on."""
        is_first = self.address.endswith(f"@{self.fleet.plan.mail_domain}")
        return self.fleet.plan if is_first else self.fleet.second

    def open_imap(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(
            self.plan.mail_host, self.plan.ports.imap_tls, ssl_context=trust_all(), timeout=WAIT_SECONDS
        )
        try:
            client.login(self.address, self.password)
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    def may_log_in(self) -> bool:
        try:
            self.open_imap().logout()
        except imaplib.IMAP4.error:
            return False
        return True

    def may_submit(self) -> bool:
        """Tell whether SMTP lets him log in."""
        with self._open_smtp() as client:
            try:
                client.login(self.address, self.password)
            except smtplib.SMTPAuthenticationError:
                return False
        return True

    def read_quota_bytes(self) -> int:
        client = self.open_imap()
        _, (_, quotas) = client.getquotaroot("INBOX")
        client.logout()
        (quota,) = quotas
        assert isinstance(quota, bytes)
        return int(quota.decode().rstrip(")").split()[-1]) * 1024

    def read_turn(self) -> str | None:
        """Read where calls go and by which credential; `None` where they are told of nothing."""
        client = self.open_imap()
        client.send(b'm1 GETMETADATA "" (%b)\r\n' % TURN.encode())
        heard = b""
        while not heard.startswith(b"m1 "):
            heard = client.readline()
            if found := re.search(rb'deltachat/turn "?([^"\r\n)]+)', heard):
                client.shutdown()
                return None if found[1] == b"NIL" else found[1].decode()
        client.shutdown()
        return None

    def hand_in_device_token(self, token: str) -> None:
        """Have the app woken by a device token from now on."""
        client = self.open_imap()
        client.send(b'm1 SETMETADATA INBOX (/private/devicetoken "%b")\r\n' % token.encode())
        heard = client.readline()
        assert heard.startswith(b"m1 OK"), heard
        client.logout()

    def count_messages(self) -> int:
        client = self.open_imap()
        _, (count,) = client.select("INBOX")
        client.logout()
        assert count is not None
        return int(count)

    def mark(self, messages: str, flag: str) -> None:
        """Give messages in the inbox a flag; they are named by their numbers there."""
        client = self.open_imap()
        client.select("INBOX")
        status, heard = client.store(messages, "+FLAGS", f"({flag})")
        assert status == "OK", heard
        client.logout()

    def append(self, received_at: datetime) -> None:
        """Put an encrypted message into the inbox, as one that came then."""
        mail = encrypted_mail(sender=self.address, message_id=f"{secrets.token_hex(8)}@localhost")
        client = self.open_imap()
        status, heard = client.append("INBOX", "", imaplib.Time2Internaldate(received_at), bytes(mail))
        assert status == "OK", heard
        client.logout()

    def read_message_bytes(self) -> int:
        """Read how large a message may be, as SMTP says."""
        with self._open_smtp() as client:
            client.ehlo()
            return int(client.esmtp_features["size"])

    def send(self, recipient: "User", message_id: str) -> None:
        """Send an encrypted message."""
        mail = encrypted_mail(sender=self.address, message_id=message_id)
        with self._open_smtp() as client:
            client.login(self.address, self.password)
            client.sendmail(self.address, recipient.address, bytes(mail))

    def find_refusal(self, recipient: "User") -> str:
        """Find why mail to somebody is refused; "" where it would be taken."""
        with self._open_smtp() as client:
            client.login(self.address, self.password)
            client.mail(self.address)
            code, text = client.rcpt(recipient.address)
            return "" if code == 250 else text.decode()

    def _open_smtp(self) -> smtplib.SMTP_SSL:
        host, port = self.plan.mail_host, self.plan.ports.smtp_tls
        return smtplib.SMTP_SSL(host, port, context=trust_all(), timeout=WAIT_SECONDS)
