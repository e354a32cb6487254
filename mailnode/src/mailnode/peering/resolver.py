"""Ask the DNS: where mail of a domain goes, what a name's text is, and what addresses a host has.

For: courier and reception.
Not for: choosing among the answers (routes.py). Answers are remembered as long as they say, also that there
is none.

Source: RFC 5321 section 5.1 (MX and the implicit one), RFC 7505 (null MX).
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from mailnode.dkim.errors import KeyUnavailableError
from mailnode.peering.errors import NoRouteError, RouteUnknownError

LOOK_UP_SECONDS = 10.0
UDP_BYTES = 1_232
"""What passes every network in one piece; a public key does not fit into DNS's old 512."""
REMEMBERED_ANSWERS = 20_000
MAX_EXCHANGERS = 10
MAX_TEXTS = 20
NO_SUCH_DOMAIN = "512 5.1.2 The domain does not exist"
NULL_MX = "556 5.1.10 The domain takes no mail"

_NONE = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)


@dataclass(slots=True, kw_only=True)
class Resolver:
    """The way to the name servers: those of the host, or `servers` (addresses) at a port.

    A host may have none: then nobody answers, and a node serves those who need no names.
    """

    servers: Sequence[str] = ()
    port: int = 53
    host_configuration: Path = Path("/etc/resolv.conf")
    _resolver: dns.asyncresolver.Resolver = field(init=False)

    def __post_init__(self) -> None:
        """Read the host's configuration, once."""
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        if self.servers:
            self._resolver.nameservers = [*self.servers]
            self._resolver.port = self.port
        else:
            with suppress(dns.resolver.NoResolverConfiguration):
                self._resolver.read_resolv_conf(str(self.host_configuration))
        self._resolver.lifetime = LOOK_UP_SECONDS
        self._resolver.use_edns(0, 0, UDP_BYTES)
        self._resolver.cache = dns.resolver.LRUCache(REMEMBERED_ANSWERS)

    async def find_exchangers(self, domain: str) -> tuple[str, ...]:
        """Find the hosts that take mail for a domain, the preferred ones first.

        Raises:
            NoRouteError: There is no such domain, or it takes no mail.
            RouteUnknownError: Nobody who knows answers now.
        """
        try:
            answer = await self._resolver.resolve(_absolute(domain), "MX")
        except dns.resolver.NXDOMAIN as error:
            raise NoRouteError(NO_SUCH_DOMAIN) from error
        except dns.resolver.NoAnswer:
            return (domain,)
        except dns.exception.DNSException as error:
            raise RouteUnknownError(f"DNS: {_describe(error)}") from error
        records = [record for record in answer if isinstance(record, MX)]
        return choose_exchangers([(record.preference, record.exchange) for record in records], random.random)

    async def find_addresses(self, host: str) -> list[str]:
        """Find the addresses of a host, IPv6 and IPv4 in turn; none where there is none.

        Raises:
            RouteUnknownError: Nobody who knows answers now.
        """
        found: list[list[str]] = []
        problem: Exception | None = None
        for kind in (dns.rdatatype.AAAA, dns.rdatatype.A):
            try:
                answer = await self._resolver.resolve(_absolute(host), kind)
                found.append([record.to_text() for record in answer])
            except _NONE:
                continue
            except dns.exception.DNSException as error:
                problem = error
        if not found and problem is not None:
            raise RouteUnknownError(f"DNS: {_describe(problem)}") from problem
        longest = max(map(len, found), default=0)
        return [each[turn] for turn in range(longest) for each in found if turn < len(each)]

    async def find_texts(self, name: str) -> list[bytes]:
        """Find the TXT records of a name, each put together.

        Raises:
            KeyUnavailableError: Nobody who knows answers now.
        """
        try:
            answer = await self._resolver.resolve(_absolute(name), "TXT")
        except (*_NONE, NoRouteError):
            return []
        except dns.exception.DNSException as error:
            raise KeyUnavailableError(_describe(error)) from error
        return [b"".join(record.strings) for record in answer if isinstance(record, TXT)][:MAX_TEXTS]


def choose_exchangers(
    records: Sequence[tuple[int, dns.name.Name]], draw: Callable[[], float]
) -> tuple[str, ...]:
    """Put exchangers in order; those that are preferred alike, by chance.

    Raises:
        NoRouteError: The domain takes no mail.
    """
    if len(records) == 1 and records[0][1] == dns.name.root:
        raise NoRouteError(NULL_MX)
    named = [(preference, draw(), host) for preference, host in records if host != dns.name.root]
    hosts = [host.to_text(omit_final_dot=True).lower() for _, _, host in sorted(named)]
    return tuple(dict.fromkeys(hosts))[:MAX_EXCHANGERS]


def _absolute(name: str) -> dns.name.Name:
    try:
        return dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise NoRouteError(NO_SUCH_DOMAIN) from error


def _describe(error: Exception) -> str:
    match error:
        case dns.resolver.NoNameservers():
            return "no name server of the domain gives an answer"
        case dns.exception.Timeout():
            return "no name server answers in time"
        case _:
            return type(error).__name__
