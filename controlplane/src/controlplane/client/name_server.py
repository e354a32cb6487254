"""Ask name servers what is published, and have one change it.

For: `madfleet dns`, which runs where the operator is; whatever a server says is told in one sentence.
Not for: what is to be published (zone_comparison.py).

Source: RFC 2136 (updates), RFC 8945 (their signatures).
"""

import re
import socket
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.tsig
import dns.tsigkeyring
import dns.update

from controlplane.client.errors import MisuseError, NameServerError
from controlplane.client.zone_comparison import Action, Difference, Key

PORT = 53
LAST_PORT = 65_535
TIMEOUT_SECONDS = 10.0
QUESTIONS_AT_ONCE = 16
MAX_KEY_FILE_BYTES = 65_536

_KEY = re.compile(
    r'key\s+"?([^"\s{]+)"?\s*\{\s*'
    r'algorithm\s+"?([A-Za-z0-9.-]+?)\.?"?\s*;\s*'
    r'secret\s+"?([A-Za-z0-9+/=]+)"?\s*;\s*\}'
)
_SERVER = re.compile(
    r"\[(?P<bracketed>[0-9A-Fa-f:.]+)\](:(?P<port6>[0-9]{1,5}))?"
    r"|(?P<name>[^\s:\[\]]+)(:(?P<port>[0-9]{1,5}))?"
    r"|(?P<bare>[0-9A-Fa-f:]+)"
)


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """What proves to a name server that an update is the operator's."""

    ring: dict[dns.name.Name, bytes | dns.tsig.Key]
    name: dns.name.Name
    algorithm: dns.name.Name


@dataclass(frozen=True, slots=True)
class NameServer:
    """A name server by its address."""

    address: str
    port: int

    def __str__(self) -> str:
        """Write it as people do."""
        return f"{self.address}:{self.port}" if ":" not in self.address else f"[{self.address}]:{self.port}"


def find_server(text: str) -> NameServer:
    """Find a name server by its name or address. Raises: MisuseError."""
    host, port = read_server(text)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise MisuseError(f"The name server {host} has no address. Write its address instead.") from error
    return NameServer(str(found[0][4][0]), port)


def read_server(text: str) -> tuple[str, int]:
    """Read host and port of such as `ns.example.org`, `192.0.2.53:5353`, `[2001:db8::53]:53`.

    Raises:
        MisuseError: It is nothing of the kind.
    """
    match = _SERVER.fullmatch(text)
    port = int(match["port6"] or match["port"] or PORT) if match else 0
    if match is None or not 1 <= port <= LAST_PORT:
        raise MisuseError(f"{text!r} is no name server; write such as 192.0.2.53 or ns.example.org:53.")
    return match["bracketed"] or match["name"] or match["bare"], port


def read_update_key(path: Path) -> UpdateKey:
    """Read a key as `tsig-keygen` of BIND writes it. Raises: MisuseError."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
            raise MisuseError(f"Everybody can read the key in {path}. Run `chmod o-r {path}`.")
        with path.open("rb") as file:
            text = file.read(MAX_KEY_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"{path} cannot be read. Name the file with the key of updates.") from error
    match = _KEY.search(text)
    if match is None:
        raise MisuseError(f"{path} has no key. Make one with `tsig-keygen NAME`, and give it to the server.")
    try:
        name, algorithm = dns.name.from_text(match[1]), dns.name.from_text(match[2].lower())
        ring = dns.tsigkeyring.from_text({match[1]: (match[2].lower(), match[3])})
    except (dns.exception.DNSException, ValueError) as error:
        raise MisuseError(f"The key in {path} is damaged: {error}.") from error
    return UpdateKey(dict(ring), name, algorithm)


def look_up_all(keys: Iterable[Key], server: NameServer | None) -> dict[Key, list[dns.rdata.Rdata]]:
    """Look up what is published; `None` asks the name servers of this host. Raises: NameServerError."""
    resolver = _open_resolver(server)
    asked = list(keys)
    with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
        return dict(zip(asked, pool.map(lambda key: _look_up(resolver, key), asked), strict=True))


def update(differences: Sequence[Difference], server: NameServer, key: UpdateKey | None) -> None:
    """Have a server change its zones, each in one step. Raises: NameServerError."""
    by_zone: dict[dns.name.Name, list[Difference]] = {}
    for difference in differences:
        by_zone.setdefault(find_zone(difference.name, server), []).append(difference)
    for zone, parts in by_zone.items():
        signed = {"keyring": key.ring, "keyname": key.name, "keyalgorithm": key.algorithm} if key else {}
        message = dns.update.UpdateMessage(zone, **signed)  # type: ignore[arg-type] # one type for three arguments
        for part in parts:
            if part.action is Action.REMOVE:
                message.delete(dns.name.from_text(part.name), part.rdata)
            else:
                message.add(dns.name.from_text(part.name), part.ttl_seconds, part.rdata)
        _send_update(message, zone, server)


def find_zone(name: str, server: NameServer) -> dns.name.Name:
    """Find the zone of a server that a name is in. Raises: NameServerError."""
    candidate = dns.name.from_text(name)
    while True:
        question = dns.message.make_query(candidate, dns.rdatatype.SOA)
        question.flags &= ~dns.flags.RD
        try:
            answer, _ = dns.query.udp_with_fallback(question, server.address, TIMEOUT_SECONDS, server.port)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise NameServerError(f"The name server {server} does not answer: {_describe(error)}.") from error
        if answer.get_rrset(answer.answer, candidate, dns.rdataclass.IN, dns.rdatatype.SOA) is not None:
            return candidate
        if candidate == dns.name.root:
            raise NameServerError(
                f"The name server {server} has no zone for {name} Name with --server the primary that has it."
            )
        candidate = candidate.parent()


def _send_update(message: dns.update.UpdateMessage, zone: dns.name.Name, server: NameServer) -> None:
    try:
        answer = dns.query.tcp(message, server.address, TIMEOUT_SECONDS, server.port)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise NameServerError(
            f"The name server {server} did not take the update of {zone}: {_describe(error)}. "
            "Check the key's name, algorithm and secret, and the clocks."
        ) from error
    if answer.rcode() != dns.rcode.NOERROR:
        raise NameServerError(
            f"The name server {server} refuses to update {zone}: {dns.rcode.to_text(answer.rcode())}. "
            "It must be the zone's primary, and allow this with the key of --key-file."
        )


def _open_resolver(server: NameServer | None) -> dns.resolver.Resolver:
    try:
        resolver = dns.resolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        raise NameServerError("This host knows no name server. Name one with --server.") from error
    if server is not None:
        resolver.nameservers, resolver.port = [server.address], server.port
    resolver.lifetime = TIMEOUT_SECONDS
    return resolver


def _look_up(resolver: dns.resolver.Resolver, key: Key) -> list[dns.rdata.Rdata]:
    name, kind = key
    try:
        answer = resolver.resolve(name, dns.rdatatype.from_text(kind), raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise NameServerError(
            f"{name} cannot be looked up: {_describe(error)}. Name a server that knows it with --server."
        ) from error
    return list(answer.rrset) if answer.rrset is not None else []


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text or type(error).__name__).rstrip(".")
