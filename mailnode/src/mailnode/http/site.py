"""What the pages know about the node they stand for.

For: links, QR codes and pages; built once from the daemon's settings.
Not for: what may change while the node runs; that is read from the policy at each request.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailnode.http.language import Language

DEFAULT_HTTPS_PORT = 443
CONTACT_SCHEMES = ("mailto:", "https://", "http://")


class Security(StrEnum):
    """How a client protects its connection, in the words of `dclogin:` links."""

    SSL = "ssl"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEndpoint:
    """Where clients reach one of the mail protocols. `host` is a name or a bare IP address."""

    host: str
    port: int
    security: Security


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """How clients reach this node, and how it presents itself.

    name: what the pages call the service.
    mail_domain: "example.org", "[192.0.2.1]" or "[IPv6:2001:db8::1]".
    imap, smtp: where clients reach the node, the preferred place first; QR codes name only that one.
    is_self_signed: whether clients must take a certificate that no authority vouches for.
    support_contact: a link to whoever helps users; "" where nobody is named.
    """

    name: str
    mail_domain: str
    https_host: str
    https_port: int = DEFAULT_HTTPS_PORT
    imap: tuple[MailEndpoint, ...]
    smtp: tuple[MailEndpoint, ...]
    is_self_signed: bool
    support_contact: str
    default_language: Language = Language.EN

    def __post_init__(self) -> None:
        """Refuse what no page could show.

        Raises:
            ValueError: There is no endpoint for a protocol, or the contact is no link.
        """
        if not (self.imap and self.smtp):
            raise ValueError("a site needs an IMAP and an SMTP endpoint")
        if self.support_contact and not self.support_contact.startswith(CONTACT_SCHEMES):
            raise ValueError(f"support_contact must begin with one of {', '.join(CONTACT_SCHEMES)}")

    @property
    def support_label(self) -> str:
        """The contact as people read it: an address without its `mailto:`."""
        return self.support_contact.removeprefix("mailto:")
