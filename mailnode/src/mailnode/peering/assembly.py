"""Put together what exchanges mail with peers.

For: the daemon, which has the settings.
Not for: any rule.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.address import MailDomain
from mailnode.accounts.rate_limit import RateLimit, RateLimiter
from mailnode.dkim.upkeep import DkimKeys
from mailnode.federation.outbound import Outbound
from mailnode.peering.courier import Courier
from mailnode.peering.exchangers import Exchangers
from mailnode.peering.policy import PeerPolicyHolder, find_peer
from mailnode.peering.reception import Reception
from mailnode.peering.resolver import Resolver
from mailnode.peering.sts_memory import StsMemory
from mailnode.peering.traffic import Traffic
from mailnode.peering.upload import build_tls_contexts
from mailnode.settings import MailNodeSettings
from mailnode.store.mail_store import MailStore

BURST_MINUTES = 2


async def open_peering(settings: MailNodeSettings, stack: AsyncExitStack) -> "Peering":
    """Put everything together, and have the signing keys ready. Raises: KeyFileError, OSError."""
    peering = Peering(settings)
    await peering.keys.start(stack)
    await StsMemory(settings.state_directory / "mta-sts.json", peering.courier.sts).start(stack)
    return peering


@dataclass(slots=True)
class Peering:
    """All parts of it."""

    settings: MailNodeSettings
    policy: PeerPolicyHolder = field(default_factory=PeerPolicyHolder)
    traffic: Traffic = field(default_factory=Traffic)
    resolver: Resolver = field(init=False)
    keys: DkimKeys = field(init=False)
    courier: Courier = field(init=False)
    domain: str = field(init=False)

    def __post_init__(self) -> None:
        """Build the way out. Raises: OSError, when the CAs cannot be read."""
        settings = self.settings
        self.domain = MailDomain.parse(settings.mail_domain).name
        self.resolver = Resolver(servers=settings.dns_servers, port=settings.dns_port)
        self.keys = DkimKeys(
            domain=self.domain,
            path=settings.state_directory / "dkim-keys.json",
            look_up=self.resolver.find_texts,
        )
        ca_file = settings.peers_ca_file
        self.courier = Courier(
            domain=self.domain,
            helo_name=self.domain if self.domain.startswith("[") else settings.host,
            policy=self.policy,
            resolver=self.resolver,
            traffic=self.traffic,
            tls=build_tls_contexts(None if ca_file is None else str(ca_file)),
            read_keys=self.keys.read_keys,
            source_address=settings.outbound_address,
        )

    def build_reception(self, accounts: Accounts, store: MailStore, outbound: Outbound) -> Reception:
        """Build the way in."""
        per_minute = self.settings.peer_messages_per_minute
        limit = RateLimit(per_minute=per_minute, burst=BURST_MINUTES * per_minute) if per_minute else None
        return Reception(
            accounts=accounts,
            store=store,
            policy=self.policy,
            look_up=self.resolver.find_texts,
            traffic=self.traffic,
            limiter=RateLimiter(limit),
            outbound=outbound,
            is_own_domain=lambda domain: find_peer(domain) == self.domain,
        )

    def build_exchangers(self, reception: Reception) -> Exchangers:
        """Build what pulls mail that waits elsewhere."""
        return Exchangers(
            domain=self.domain,
            reception=reception,
            policy=self.policy,
            tls=self.courier.tls.verified,
            source_address=self.settings.outbound_address,
        )
