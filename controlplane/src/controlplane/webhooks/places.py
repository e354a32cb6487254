"""Decide where messages may go: out into the world, and to those private networks that the operator names.

For: the sender, which resolves a name itself and connects to the very address that was judged: so no name can
lead it to the control plane's own host, its database, or the metadata service of a provider.
Not for: connecting (sender.py).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from controlplane.client_address import Network
from controlplane.webhooks.errors import BadWebhookUrlError

Address = IPv4Address | IPv6Address
PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: the parts of its URL. `authority` is what the Host header says."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


def read_target(url: str, private: Collection[Network]) -> Target:
    """Read a URL.

    Raises:
        BadWebhookUrlError: It is none, has a name or password in it, or says http where nothing private is
            allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise BadWebhookUrlError(problem=str(error)) from error
    if not parts.hostname or "@" in parts.netloc or (parts.scheme == "http" and not private):
        raise BadWebhookUrlError(problem="no host, a name in it, or no TLS")
    return Target(parts.scheme, parts.hostname, port, parts.netloc, _read_path(parts))


def choose_address(target: Target, found: Iterable[str], private: Collection[Network]) -> Address | None:
    """Choose the address to connect to; `None` where none is allowed.

    Private ones, and http anywhere else, are allowed in the networks of the operator only.
    """
    addresses = [_unmap(ip_address(each)) for each in found]
    named = [each for each in addresses if any(each in network for network in private)]
    world = [each for each in addresses if each.is_global and not each.is_multicast]
    allowed: Sequence[Address] = named if target.scheme == "http" else [*named, *world]
    return allowed[0] if allowed else None


def _unmap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for: it is reached as that one."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _read_path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
