"""Try each address of a TURN name: which one grants an allocation, and which one is dead.

For: `turnnode probe` with a name that stands for several nodes.
Not for: calls (sides.py). An allocation is asked for, and given back.
"""

import asyncio
import socket
import time
from dataclasses import asdict, dataclass

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import TurnAccess, server_of
from turnnode.probe.diagnosis import allocate_or_explain


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressResult:
    """What one address did: an allocation after so many milliseconds, or a `problem` with its remedy."""

    url: str
    allocated_ms: float | None
    problem: str | None

    def as_text(self) -> str:
        """Return one line for people."""
        if self.problem is not None:
            return f"dead     {self.problem}"
        return f"working  {self.url} allocates after {self.allocated_ms:.0f} ms"

    def as_json(self) -> dict[str, object]:
        """Return all by name."""
        return asdict(self)


def list_urls(url: str) -> list[str]:
    """Return a URL for each address that the host of a TURN URL has; an address has itself.

    Raises:
        ProbeFailedError: The name has no address.
    """
    host, port = server_of(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ProbeFailedError(f"{host} has no address: {error}. Check the name and the DNS.") from error
    addresses = sorted({str(entry[4][0]) for entry in found}, key=lambda address: (":" in address, address))
    return [f"turn:[{a}]:{port}" if ":" in a else f"turn:{a}:{port}" for a in addresses]


async def try_addresses(urls: list[str], username: str, password: str) -> list[AddressResult]:
    """Try all addresses at once, in the order of `urls`."""
    return await asyncio.gather(
        *(_try_address(TurnAccess(url=url, username=username, password=password)) for url in urls)
    )


async def _try_address(access: TurnAccess) -> AddressResult:
    began_at = time.monotonic()
    problem = await allocate_or_explain(access)
    took_ms = round((time.monotonic() - began_at) * 1000, 1)
    return AddressResult(url=access.url, allocated_ms=None if problem else took_ms, problem=problem)
