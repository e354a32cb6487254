"""Probe another TURN node of the fleet: a call through it, by the command `turnnode probe`.

For: the daemon. The call is made by a process of its own, so that relaying never waits for it.
Not for: the call (command.py and what it loads), nor for when (nodelink.channel.probing).
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodelink.channel.probing import ProbeError
from nodelink.contract.states import TurnNodeState, TurnPeer

SPOKEN_SECONDS = 1
CONNECT_SECONDS = 5
PROGRAM = Path(sys.executable).with_name("turnnode")


@dataclass(slots=True)
class TurnPeers:
    """The other TURN nodes, as the last desired state names them."""

    _peers: dict[str, TurnPeer] = field(init=False, default_factory=dict)
    _secret: str = field(init=False, default="", repr=False)

    def replace(self, state: TurnNodeState) -> None:
        """Take them from a desired state."""
        self._peers = {peer.name: peer for peer in state.peers}
        self._secret = state.secrets[-1]  # the newest one may not have reached everybody yet

    def list_names(self) -> Sequence[str]:
        """List their names."""
        return list(self._peers)

    async def probe(self, name: str) -> float:
        """Make a call through a node; return how many seconds it took to connect.

        Raises:
            ProbeError: There was none, or too much of it was lost.
        """
        peer = self._peers[name]
        url = f"turn:{peer.host}:{peer.port}"
        arguments: tuple[str, ...] = (
            "--secret-file",
            "/dev/stdin",
            "--seconds",
            str(SPOKEN_SECONDS),
            "--json",
        )
        arguments += ("--deadline-seconds", str(CONNECT_SECONDS))
        # Among the arguments, everybody could read the secret; asyncio's own pipe is a socket, which has
        # no name to be opened by. The secret fits into a pipe, so that this does not block.
        reader, writer = os.pipe()
        os.write(writer, self._secret.encode())
        os.close(writer)
        try:
            process = await asyncio.create_subprocess_exec(
                PROGRAM,
                "probe",
                url,
                *arguments,
                stdin=reader,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        finally:
            os.close(reader)
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise ProbeError(
                errors.decode(errors="replace").strip() or f"{url}: exit code {process.returncode}"
            )
        return read_connect_seconds(output)


def read_connect_seconds(output: bytes) -> float:
    """Read how long a call took to connect. Raises: ProbeError."""
    try:
        result = json.loads(output.splitlines()[-1])
        return float(result["connect_ms"]) / 1000
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise ProbeError("The probe said nothing that could be read.") from error
