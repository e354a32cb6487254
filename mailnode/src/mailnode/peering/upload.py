"""Hand a message over by one POST to `/mxdeliv` of another server, by HTTPS or by HTTP.

For: courier.
Not for: which server, and when again.

Connections are kept, for each host its own: TLS is verified for the host's name, wherever the DNS says that
it is. Redirects are not followed.

    2xx                             taken; JSON of our own kind names recipients that were not
    400, 403, 413, 422, 507         refused, if nobody says otherwise by SMTP
    404 with our or Madmail's words likewise: no such recipient
    404, 405, 3xx, 401, others      no server that takes mail this way, or none that does now
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from mailnode.federation.delivery import Delivery, read_refused, tidy_reason
from mailnode.federation.retry import Delivered, Failed, Outcome, Refused
from mailnode.http_client import (
    KEEP_ALIVE_SECONDS,
    BrokenAnswerError,
    ConnectError,
    HttpError,
    Question,
    Site,
)
from mailnode.peering.routes import Stop
from nodelink.contract.federation import PeerTransport

ANSWER_SECONDS = 60.0
"""For a whole request, however slowly its answer drips."""
MAX_SITES = 500
MAX_ADDRESSES = 4
MAX_ANSWER_BYTES = 65_536
REFUSALS = frozenset((400, 403, 413, 422, 507))
UNKNOWN_WORDS = ("No such user", "No valid recipients")

FindAddresses = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """How certificates of others are judged: by CAs, or not at all where nobody could vouch for them."""

    verified: ssl.SSLContext
    unverified: ssl.SSLContext

    def choose(self, *, is_verified: bool) -> ssl.SSLContext:
        """Choose for a stop."""
        return self.verified if is_verified else self.unverified


def build_tls_contexts(ca_file: str | None) -> TlsContexts:
    """Build both. `ca_file` holds the CAs; `None`: those of the system. Raises: OSError."""
    verified = ssl.create_default_context(cafile=ca_file)
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE  # addresses and `_` names: chatmail relays sign for themselves
    return TlsContexts(verified, unverified)


@dataclass(slots=True, kw_only=True)
class Uploads:
    """The way by HTTP to all servers."""

    tls: TlsContexts
    find_addresses: FindAddresses
    source_address: str | None = None
    answer_seconds: float = ANSWER_SECONDS
    _sites: dict[Stop, Site] = field(init=False, default_factory=dict)
    _good_addresses: dict[str, tuple[str, float]] = field(init=False, default_factory=dict)

    async def send(self, stop: Stop, delivery: Delivery, message: bytes) -> Outcome:
        """Try once to hand a message over."""
        headers = [*delivery.write_headers(), ("content-type", "application/octet-stream")]
        try:
            answer = await self._request(stop, Question("POST", stop.path, _name(stop), headers, message))
        except HttpError as error:
            return Failed(_describe(error), is_of_node=isinstance(error, ConnectError))
        return judge_answer(*answer)

    async def fetch(self, host: str, path: str, port: int) -> bytes | None:
        """Fetch a small file by HTTPS; `None` where it cannot be had."""
        stop = Stop(PeerTransport.HTTPS, host, port, path)
        try:
            status, content = await self._request(stop, Question("GET", path, _name(stop)))
        except HttpError:
            return None
        return content if status == 200 else None

    async def close(self) -> None:
        """Close all connections."""
        for site in self._sites.values():
            site.close()
        self._sites.clear()

    async def _request(self, stop: Stop, question: Question) -> tuple[int, bytes]:
        """Ask, at one of the host's addresses. Raises: HttpError."""
        site = self._open_site(stop)
        problem = ConnectError("the host has no address that may be dialled")
        for address in await self._list_addresses(stop.host):
            try:
                async with asyncio.timeout(self.answer_seconds):
                    answer = await site.ask(address, question)
            except ConnectError as error:
                self._good_addresses.pop(stop.host, None)
                problem = error
                continue
            except TimeoutError as error:
                raise BrokenAnswerError("no whole answer in time") from error
            self._good_addresses[stop.host] = address, time.monotonic()
            return answer
        raise problem

    async def _list_addresses(self, host: str) -> Sequence[str]:
        """List where a host may be: where it was a moment ago, as long as the connection is there anyway."""
        good, at_seconds = self._good_addresses.get(host, ("", 0.0))
        if good and time.monotonic() - at_seconds < KEEP_ALIVE_SECONDS:
            return [good]
        addresses = [*await self.find_addresses(host)]
        if good in addresses:
            addresses.remove(good)
            addresses.insert(0, good)
        return addresses[:MAX_ADDRESSES]

    def _open_site(self, stop: Stop) -> Site:
        key = Stop(stop.transport, stop.host, stop.port, "", stop.is_verified)
        site = self._sites.pop(key, None)
        if site is None:
            while len(self._sites) >= MAX_SITES:
                oldest = next(iter(self._sites))
                self._good_addresses.pop(oldest.host, None)
                self._sites.pop(oldest).close()
            is_plain = stop.transport is PeerTransport.HTTP
            site = Site(
                port=stop.port,
                name=stop.host,
                tls=None if is_plain else self.tls.choose(is_verified=stop.is_verified),
                source_address=self.source_address,
                max_answer_bytes=MAX_ANSWER_BYTES,
            )
        self._sites[key] = site  # the one longest unused comes first
        return site


def judge_answer(status: int, content: bytes) -> Outcome:
    """Judge an answer."""
    if 200 <= status < 300:
        return Delivered(read_refused(content))
    text = tidy_reason(content.decode("utf-8", "replace"))
    reason = f"{status} {text}".strip()
    if status in REFUSALS or (status == 404 and any(words in text for words in UNKNOWN_WORDS)):
        return Refused(reason)
    return Failed(reason, is_of_node=False)


def _name(stop: Stop) -> str:
    """Write what the server is called, as a URL would have it (RFC 9110 section 7.2)."""
    name = f"[{stop.host}]" if ":" in stop.host else stop.host
    usual_port = 80 if stop.transport is PeerTransport.HTTP else 443
    return name if stop.port == usual_port else f"{name}:{stop.port}"


def _describe(error: HttpError) -> str:
    return tidy_reason(f"{type(error).__name__}: {error}".removesuffix(": "))
