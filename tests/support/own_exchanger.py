"""An exchanger of ours: in this process beside mail nodes, or as the program, which can be killed."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from mailnode.exchange.daemon import ExchangeDaemon
from mailnode.exchange.settings import ExchangeSettings
from mailnode.exchange.tokens import digest_token, make_token
from nodelink.daemon.chassis import Chassis
from nodelink.daemon.service_manager import Systemd
from self_signed import make_certificate
from support.clocks import wait_until
from support.peering_site import PeerWorld, find_free_port, next_address

PROGRAM = Path(sys.executable).with_name("mailnode")
SOON_SECONDS = 15
TLS = ssl._create_unverified_context()  # noqa: S323, SLF001 - certificates are made a moment before


@dataclass
class OwnExchanger:
    """An exchanger with a token for each domain that it keeps. `forwarded` has a URL for each other one."""

    kept: tuple[str, ...] = ()
    forwarded: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, object] = field(default_factory=dict)
    has_one_token: bool = False
    address: str = field(default_factory=next_address)
    port: int = field(default_factory=find_free_port)

    def __post_init__(self) -> None:
        one = make_token()
        self.tokens = {domain: one if self.has_one_token else make_token() for domain in self.kept}

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    @property
    def delivery_url(self) -> str:
        return f"{self.url}/mxdeliv"

    def list_settings(self, directory: Path, tls_files: tuple[Path, Path]) -> dict[str, object]:
        """List its settings as a file holds them."""
        kept = ",".join(f"{domain}={digest_token(token)}" for domain, token in self.tokens.items())
        return {
            "state_directory": directory,
            "public_host": self.address,
            "listen_addresses": self.address,
            "https_port": self.port,
            "tls_certificate": tls_files[0],
            "tls_key": tls_files[1],
            "kept": kept,
            "forwarded": ",".join(f"{domain}={url}" for domain, url in self.forwarded.items()),
            **self.changes,
        }

    async def start(self, world: PeerWorld, stack: AsyncExitStack) -> None:
        """Run it here until the stack unwinds. Who is forwarded to by name must have his certificate."""
        values = self.list_settings(world.directory / f"state-{self.port}", world.certify(self.address))
        values |= {"ca_file": world.ca_file, "dns_servers": "127.0.0.1", "dns_port": world.names.port}
        settings = ExchangeSettings(**(values | dict(self.changes)))  # type: ignore[arg-type] # read as from a file
        await ExchangeDaemon(settings).start(Chassis(Systemd("", None)), stack)

    async def post(
        self, message: bytes, *recipients: str, sender: str = "eve@far.example", **headers: str
    ) -> httpx.Response:
        """Hand a message over as any server does."""
        written = [("x-mail-from", sender), *(("x-mail-to", each) for each in recipients), *headers.items()]
        written = [(name.replace("_", "-"), value) for name, value in written]
        return await self.ask("POST", "/mxdeliv", content=message, headers=written)

    async def ask(self, method: str, path: str, **arguments: object) -> httpx.Response:
        """Ask anything."""
        async with self.connect() as client:
            return await client.request(method, path, **arguments)  # type: ignore[arg-type] # as httpx has it

    def connect(self) -> httpx.AsyncClient:
        """Make a client that keeps its connection."""
        return httpx.AsyncClient(base_url=self.url, verify=TLS, trust_env=False, timeout=20)

    async def say(self, request: bytes) -> bytes:
        """Say something as it is, and return the head of the answer."""
        reader, writer = await asyncio.open_connection(self.address, self.port, ssl=TLS)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head

    async def pull(self, domain: str, path: str | None = None, token: str | None = None) -> httpx.Response:
        """Ask for what waits for a domain."""
        shown = self.tokens[domain] if token is None else token
        return await self.ask(
            "GET", path or f"/pull?domain={domain}", headers={"authorization": f"Bearer {shown}"}
        )

    async def acknowledge(self, domain: str, ids: object) -> httpx.Response:
        """Say what was taken."""
        headers = {"authorization": f"Bearer {self.tokens[domain]}"}
        return await self.ask("POST", "/pull/ack", json={"ids": ids}, headers=headers)

    async def read_figures(self) -> dict[str, object]:
        """Read what it counts."""
        figures: dict[str, object] = (await self.ask("GET", "/health")).json()
        return figures

    @contextmanager
    def running(self, directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run the program until the block ends; it goes on with what a former one has left there."""
        values = self.list_settings(directory / "state", make_certificate(directory, self.address))
        environment = os.environ | {f"EXCHANGE_{name.upper()}": str(value) for name, value in values.items()}
        with (
            log.open("ab") as output,
            subprocess.Popen(
                [PROGRAM, "exchange", "serve"], env=environment, stdout=output, stderr=output
            ) as process,
        ):
            try:
                wait_until(self._answers, SOON_SECONDS)
                yield process
            finally:
                process.kill()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", verify=TLS, trust_env=False).is_success
        except httpx.TransportError:
            return False
