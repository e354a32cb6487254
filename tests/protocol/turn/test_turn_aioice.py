"""aioice's TURN client, which is not ours, against our server."""

import asyncio
import time

import aioice
import pytest
from aioice.turn import create_turn_endpoint

from support.turn_client import SOON_SECONDS, TurnCredential
from support.turn_server import SECRET, LoopbackServer, running, wait_until

pytestmark = pytest.mark.anyio


class Listener(asyncio.DatagramProtocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:  # noqa: ARG002 - asyncio's
        self.heard.put_nowait(data)


async def test_two_aioice_clients_exchange_data_through_the_node() -> None:
    credential = TurnCredential.made(SECRET, time.time() + 3600)
    async with running(LoopbackServer()) as node, asyncio.timeout(SOON_SECONDS):
        one, hearing_one = await create_turn_endpoint(
            Listener, node.address, credential.username, credential.password
        )
        other, hearing_other = await create_turn_endpoint(
            Listener, node.address, credential.username, credential.password
        )
        addresses = [transport.get_extra_info("sockname") for transport in (one, other)]
        # The first datagram each way opens the way for the other: aioice binds the channel as it sends.
        one.sendto(b"lost", addresses[1])
        other.sendto(b"hello", addresses[0])
        assert await hearing_one.heard.get() == b"hello"
        one.sendto(b"hi", addresses[1])
        heard = await hearing_other.heard.get()
        assert heard in {b"lost", b"hi"}
        one.close()
        other.close()
        await wait_until(lambda: node.server.counters.allocations == 0)


async def test_aioice_client_with_a_wrong_password_is_told_401() -> None:
    async with running(LoopbackServer()) as node, asyncio.timeout(SOON_SECONDS):
        with pytest.raises(aioice.stun.TransactionFailed, match="401"):
            await create_turn_endpoint(Listener, node.address, str(int(time.time()) + 60), "guessed")
