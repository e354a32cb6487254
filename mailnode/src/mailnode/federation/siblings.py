"""The other mail nodes of the fleet, as the desired state names them.

For: finding where mail for a domain goes, and who may hand mail over to us.
Not for: reaching them (lane.py), or checking what they show (door.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from mailnode.accounts.address import MailDomain
from mailnode.accounts.errors import BadAddressError
from nodelink.contract.errors import ContractError
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import SiblingNode

HTTPS_PORT = 443

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sibling:
    """A mail node of the fleet; `domain` is in its normal form. `tls_pin` is `None` where a CA vouches."""

    node: str
    domain: str
    host: str
    port: int
    public_key: PublicKey
    tls_pin: str | None

    @property
    def authority(self) -> str:
        """What its HTTPS is called, as in a URL (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == HTTPS_PORT else f"{host}:{self.port}"


@dataclass(slots=True)
class Siblings:
    """All siblings as they are now."""

    _by_domain: dict[str, Sibling] = field(init=False, default_factory=dict)
    _by_node: dict[str, Sibling] = field(init=False, default_factory=dict)

    def replace(self, siblings: Iterable[SiblingNode]) -> None:
        """Put another list in force; one that cannot be understood is left out."""
        read = [sibling for told in siblings if (sibling := _read(told)) is not None]
        self._by_domain = {sibling.domain: sibling for sibling in read}
        self._by_node = {sibling.node: sibling for sibling in read}

    def find_domain(self, domain: str) -> Sibling | None:
        """Find who takes mail for a domain, written in any way; `None` where nobody does."""
        try:
            return self._by_domain.get(MailDomain.parse(domain).name)
        except BadAddressError:
            return None

    def list_nodes(self) -> list[str]:
        """List the names of all siblings."""
        return list(self._by_node)

    def find_node(self, node: str) -> Sibling | None:
        """Find a sibling by its name."""
        return self._by_node.get(node)


def _read(told: SiblingNode) -> Sibling | None:
    try:
        domain = MailDomain.parse(told.mail_domain).name
        return Sibling(told.name, domain, told.host, told.port, PublicKey(told.public_key), told.tls_pin)
    except (BadAddressError, ContractError) as error:
        log.warning("sibling not understood", node=told.name, problem=str(error))
        return None
