"""Make two allocations that speak with one another through a TURN node, and write as JSON what became of it.

`call.py ADDRESS PORT`, the TURN secret on standard input. It needs the repository's own environment.
"""

import asyncio
import json
import sys

from support.turn_client import TurnClient

CHANNEL = 0x4000
STRANGER = ("198.51.100.10", 9)


async def call(address: str, port: int, secret: str) -> dict[str, object]:
    """Allocate twice, send from one to the other, and ask for a peer in a network that is not public."""
    async with TurnClient((address, port), secret) as one, TurnClient((address, port), secret) as other:
        relays = [await client.allocate() for client in (one, other)]
        await one.bind(CHANNEL, relays[1])
        await other.bind(CHANNEL, relays[0])
        one.send_channel(CHANNEL, b"hello")
        _, carried = await other.receive_data()
        return {
            "ports": sorted(relay[1] for relay in relays),
            "carried": carried.decode(),
            "stranger": await one.permit(STRANGER),
        }


def main() -> None:
    """Write the outcome."""
    json.dump(asyncio.run(call(sys.argv[1], int(sys.argv[2]), sys.stdin.read().strip())), sys.stdout)


if __name__ == "__main__":
    main()
