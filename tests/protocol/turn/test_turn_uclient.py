"""coturn's client, which is not ours, against our server: UDP, TCP and TLS, by channels and by indications.

Debian's coturn 4.6.1 binds channels from 0x4000 to 0x7FFF, as RFC 5766 had it.
"""

import asyncio
import re
import shutil
import time
from pathlib import Path

import pytest

from support.pages_tls import certify_loopback
from support.turn_client import TurnCredential
from support.turn_server import LOOPBACK, SECRET, LoopbackServer, running
from support.turn_stream import offering
from turnnode.relay.limiter import ReplyLimit
from turnnode.relay.policy import Quotas, RelayPolicy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("turnutils_uclient") is None, reason="coturn is not installed"),
]

MESSAGES = 20
CLIENTS = 4
POLICY = RelayPolicy(
    realm="example.org",
    secrets=(SECRET,),
    peer_allow=(LOOPBACK,),
    quotas=Quotas(allocations_per_credential=64),
    unauthenticated_replies=ReplyLimit(per_second=1000, burst=1000),
)


async def call(port: int, *options: str) -> tuple[int, int]:
    """Let clients call each other through the node; return how many messages they sent and got."""
    credential = TurnCredential.made(SECRET, time.time() + 3600)
    process = await asyncio.create_subprocess_exec(
        "turnutils_uclient",
        *("-u", credential.username, "-w", credential.password, "-p", str(port)),
        *("-y", "-c", "-m", str(CLIENTS), "-n", str(MESSAGES), "-l", "171", "-z", "5"),
        *options,
        "127.0.0.1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(18):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
        pytest.fail(f"uclient does not end:\n{output.decode()[-2000:]}")
    counts = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output.decode())
    assert counts, output.decode()[-2000:]
    sent, received = counts[-1]
    return int(sent), int(received)


@pytest.mark.parametrize(
    ("transport", "options"),
    [
        ("udp", ()),
        ("udp", ("-s",)),
        ("tcp", ("-t",)),
        ("tls", ("-t", "-S")),
    ],
)
async def test_clients_call_each_other_without_loss(
    transport: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(certify_loopback())
    async with running(LoopbackServer(policy=POLICY, tls=offering(certificate))) as node:
        addresses = {"udp": node.address, "tcp": node.address_tcp, "tls": node.address_tls}
        sent, received = await call(addresses[transport][1], *options)

        assert sent == received == CLIENTS * MESSAGES
        assert node.server.counters.packets_hairpinned >= sent
