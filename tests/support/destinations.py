"""Many servers of others in a network of the test's own, some of them dead in the ways in which servers die.

    198.51.100.0/24   each address is a server: every other one takes mail by HTTPS, the others by SMTP alone
    203.0.113.0/24    nobody: what is sent there comes back by the loopback device and is dropped

For: tests of a whole queue. Needs root, for the network: the program dials no loopback.
Not for: what a single server may answer (peering_site.py).
"""

import asyncio
import ctypes
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from mailnode.peering.routes import Ports
from nodelink.daemon.tls import ServerCertificate
from self_signed import make_certificate
from support.peering_site import FarSide, NameServer, Taken

SERVERS, NOBODY = "198.51.100", "203.0.113"
PORTS = Ports()
MAX_DESTINATIONS = 254
CLONE_NEWNET = 0x40000000

ESTABLISHED, CLOSE_WAIT = "01", "08"
"""Source: include/net/tcp_states.h."""

_MESSAGE_ID = re.compile(rb"(?m)^Message-ID: <([^>]+)@localhost>\r$")


class Death(StrEnum):
    """How a server is dead."""

    SILENT = "accepts connections and says nothing, TLS included"
    BLACK_HOLE = "nothing comes back"
    REFUSING = "refuses connections"
    DEAF = "speaks TLS and never answers a request"


@contextmanager
def own_network(name: str) -> Iterator[ThreadPoolExecutor]:
    """Make a network; the thread that is given is in it, and so is whatever it starts: threads, programs."""
    _ip("netns", "add", name)
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "local", f"{SERVERS}.0/24", "dev", "lo")
        _ip("-n", name, "route", "add", f"{NOBODY}.0/24", "dev", "lo")
        with ThreadPoolExecutor(1, initializer=_enter, initargs=(name,)) as thread:
            yield thread
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def find_message_id(message: bytes) -> str:
    """Find the Message-ID of a message, without its domain."""
    match = _MESSAGE_ID.search(message)
    assert match is not None, message
    return match[1].decode()


@dataclass
class Destination:
    """A domain with one server; `death` is `None` for one that lives."""

    number: int
    far: FarSide
    death: Death | None = None

    @property
    def domain(self) -> str:
        return f"d{self.number}.example"

    @property
    def takes_https(self) -> bool:
        return self.number % 2 == 0

    def read_taken(self) -> list[Taken]:
        return [*self.far.uploads, *self.far.letters]

    def count_taken(self) -> int:
        return len(self.far.uploads) + len(self.far.letters)


@dataclass
class Destinations:
    """All of them, with the name server that knows them. They are closed until they are opened."""

    directory: Path
    count: int
    names: NameServer = field(default_factory=NameServer)
    all: list[Destination] = field(init=False)

    def __post_init__(self) -> None:
        assert 0 < self.count <= MAX_DESTINATIONS
        self.all = [self._found(number) for number in range(1, self.count + 1)]
        self.ca_file.write_bytes(
            b"".join((self.directory / f"d{each.number}.crt").read_bytes() for each in self.all)
        )

    @property
    def ca_file(self) -> Path:
        return self.directory / "authorities.pem"

    @property
    def living(self) -> list[Destination]:
        return [each for each in self.all if each.death is None]

    @property
    def dead(self) -> list[Destination]:
        return [each for each in self.all if each.death is not None]

    async def open(self, stack: AsyncExitStack, dead_count: int = 0) -> None:
        """Open a name server, the living and the dead; what was taken before is forgotten."""
        self.names = NameServer()
        await self.names.start(stack)
        for each in self.all:
            each.far.uploads.clear()
            each.far.letters.clear()
            is_dead = each.number <= dead_count
            each.death = [*Death][(each.number - 1) % len(Death)] if is_dead else None
            self.names.say(each.domain, "MX", f"10 {each.far.host}.")
            is_anywhere = each.death is not Death.BLACK_HOLE
            self.names.say(each.far.host, "A", each.far.address if is_anywhere else f"{NOBODY}.{each.number}")
            await _open(each, stack)

    def count_taken(self) -> int:
        return sum(each.count_taken() for each in self.all)

    def read_taken(self) -> Counter[tuple[str, str]]:
        """Count each message at each domain."""
        return Counter(
            (each.domain, find_message_id(taken.message)) for each in self.all for taken in each.read_taken()
        )

    def are_quiet(self) -> bool:
        """Tell whether every connection has ended, and all that came by it was read."""
        rows = [line.split() for line in Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]]
        ports = {f"{port:04X}" for port in (PORTS.https, PORTS.smtp)}
        return not any(row[1][-4:] in ports and row[3] in (ESTABLISHED, CLOSE_WAIT) for row in rows)

    def _found(self, number: int) -> Destination:
        host = f"mx.d{number}.example"
        files = make_certificate(self.directory, host, label=f"d{number}")
        tls = ServerCertificate(*files).build_context()
        return Destination(number, FarSide(host, tls, PORTS, address=f"{SERVERS}.{number}"))


async def _open(destination: Destination, stack: AsyncExitStack) -> None:
    far, death = destination.far, destination.death
    match death:
        case None if destination.takes_https:
            await far.open_https(stack)
        case None:
            await far.open_smtp(stack)
        case Death.SILENT | Death.DEAF:
            for port in (PORTS.https, PORTS.smtp):
                tls = far.tls if death is Death.DEAF and port == PORTS.https else None
                server = await asyncio.start_server(_listen, far.address, port, ssl=tls)
                stack.callback(server.close)
        case Death.REFUSING | Death.BLACK_HOLE:
            pass


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read and say nothing, until the other side has had enough."""
    try:
        while await reader.read(65_536):
            pass
    except OSError:
        pass
    finally:
        writer.close()


def _enter(name: str) -> None:
    """Move this thread into a network namespace. Source: setns(2), which holds for one thread."""
    with Path("/var/run/netns", name).open("rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
