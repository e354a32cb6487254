"""Say why no call came about, by asking the TURN node for an allocation and reading its answer.

For: the sentence that an operator reads.
Not for: calls that work: nothing here runs then.
"""

import asyncio
from typing import Final

import aioice
from aioice.turn import create_turn_endpoint

from turnnode.probe.access import TurnAccess, server_of

ANSWER_SECONDS: Final = 5

_REMEDIES: Final = {
    401: "refuses the credentials. Compare its secret and the clocks of both machines; credentials expire.",
    441: "has an allocation of this address under other credentials. Try again in a minute.",
    486: "has no allocation left for these credentials. Raise its quota, or wait for old calls to end.",
    508: "has no relay port left. Raise its port range or quota, or add a node.",
}


async def find_fault(access: TurnAccess) -> str:
    """Return a sentence that names what is wrong and the remedy."""
    return await allocate_or_explain(access) or (
        f"{access.url} relays, but the two sides did not connect through it. Check that its relay ports are "
        "open for UDP, and that peer_allow covers peers that are not globally routable."
    )


async def allocate_or_explain(access: TurnAccess) -> str | None:
    """Ask for an allocation and give it back; return why there is none, and the remedy."""
    server = server_of(access.url)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            transport, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol, server, access.username, access.password
            )
    except (TimeoutError, aioice.stun.TransactionTimeout):
        return (
            f"{access.url} does not answer. Check that it runs and that UDP port {server[1]} is open to it."
        )
    except aioice.stun.TransactionFailed as error:
        status = error.response.error_code or 0
        reason = _REMEDIES.get(status, f"answers with error {status}. Its metrics may say more.")
        return f"{access.url} {reason}"
    except OSError as error:
        return f"{access.url} cannot be reached: {error}. Check address and routes."
    transport.close()
    return None
