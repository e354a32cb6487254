"""A site and a registrar for tests of what is served over HTTPS."""

from dataclasses import dataclass, field

from mailnode.accounts.errors import RegistrationClosedError
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.http.site import MailEndpoint, Security, Site

SITE = Site(
    name="madfleet",
    mail_domain="example.org",
    https_host="mail.example.org",
    imap=(
        MailEndpoint(host="mail.example.org", port=993, security=Security.SSL),
        MailEndpoint(host="mail.example.org", port=143, security=Security.STARTTLS),
        MailEndpoint(host="mail.example.org", port=443, security=Security.SSL),
    ),
    smtp=(
        MailEndpoint(host="mail.example.org", port=465, security=Security.SSL),
        MailEndpoint(host="mail.example.org", port=587, security=Security.STARTTLS),
        MailEndpoint(host="mail.example.org", port=443, security=Security.SSL),
    ),
    is_self_signed=False,
    support_contact="mailto:admin@example.org",
)


@dataclass(slots=True)
class CountingRegistrar:
    """Makes accounts named by their number, in memory; remembers who asked, and raises `failure` if set."""

    domain: str = "example.org"
    password: str = "Zx8-pw+9 &%=\"<'"
    policy: PolicyHolder = field(default_factory=lambda: PolicyHolder(Policy()))
    failure: Exception | None = None
    clients: list[str] = field(default_factory=list)

    def admit_creation(self, client_address: str) -> None:
        if not self.policy.current.registration_open:
            raise RegistrationClosedError
        self.clients.append(client_address)

    async def register(self, client_address: str) -> tuple[str, str]:
        if self.failure is not None:
            raise self.failure
        if not self.policy.current.is_open_to_all:
            raise RegistrationClosedError
        self.clients.append(client_address)
        return f"user{len(self.clients):05}@{self.domain}", self.password
