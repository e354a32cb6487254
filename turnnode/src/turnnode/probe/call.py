"""One side of a test call: audio both ways, and a data channel whose packets the callee sends back.

    caller ── offer ──▶ callee         data: number, caller's clock, filling; unordered, never sent again
           ◀── answer ──               audio: silence, 50 packets a second

For: what an app does in a call, without its camera.
Not for: how offer and answer travel (sides.py), or what the figures mean (results.py).

ICE asks no server but the TURN node that is named: aiortc's own default, a public STUN server, is never used.
"""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from struct import Struct
from typing import Final

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.stats import RTCInboundRtpStreamStats, RTCOutboundRtpStreamStats

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import IcePolicy, Load, TurnAccess
from turnnode.probe.results import Tally

DATA_BYTES: Final = 160  # about a voice packet
SETTLE_SECONDS: Final = 1.0
_HEAD = Struct("!Qd")


class CallSide:
    """One peer connection; start it, exchange descriptions, then speak."""

    def __init__(self, access: TurnAccess, policy: IcePolicy) -> None:
        server = RTCIceServer(urls=access.url, username=access.username, credential=access.password)
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy(policy.value))
        )
        self._data_sent = 0
        self._data_received = 0
        self._rtts_ms: list[float] = []
        self._last_number = -1
        self._is_open = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._channel: RTCDataChannel | None = None
        self._sink = MediaBlackhole()

    async def start(self, stack: AsyncExitStack) -> None:
        """Prepare the side; it hangs up when `stack` unwinds."""
        stack.push_async_callback(self._sink.stop)
        stack.push_async_callback(self._connection.close)
        self._connection.on("track", self._listen)
        self._connection.on("datachannel", self._echo)
        self._connection.addTrack(AudioStreamTrack())

    async def offer(self) -> str:
        """Gather candidates and return the offer's SDP."""
        channel = self._connection.createDataChannel("probe", ordered=False, maxRetransmits=0)
        self._channel = channel
        channel.on("open", self._is_open.set)
        channel.on("message", self._measure)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def answer(self, offer: str) -> str:
        """Take the caller's offer, gather candidates and return the answer's SDP.

        Raises:
            ProbeFailedError: The offer is no SDP.
        """
        await self._take(offer, "offer")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Take the callee's answer.

        Raises:
            ProbeFailedError: The answer is no SDP.
        """
        await self._take(answer, "answer")

    async def wait_until_open(self) -> None:
        """Wait until the data channel is open, which is when the whole call is up."""
        await self._is_open.wait()

    async def speak(self, load: Load) -> None:
        """Send data at an even pace, then wait for the last echo."""
        if self._channel is None:
            raise ProbeFailedError("Only the caller speaks.")
        filling = bytes(DATA_BYTES - _HEAD.size)
        count = round(load.seconds * load.packets_per_second)
        self._last_number = count - 1
        started_at = time.monotonic()
        for number in range(count):
            await asyncio.sleep(started_at + number / load.packets_per_second - time.monotonic())
            self._channel.send(_HEAD.pack(number, time.monotonic()) + filling)
            self._data_sent += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._is_settled.wait()

    @property
    def rtts_ms(self) -> list[float]:
        """The round trips of all echoes so far."""
        return self._rtts_ms

    async def read_tally(self) -> Tally:
        """Count what this side has sent and received so far."""
        stats = list((await self._connection.getStats()).values())
        inbound = [entry for entry in stats if isinstance(entry, RTCInboundRtpStreamStats)]
        outbound = [entry for entry in stats if isinstance(entry, RTCOutboundRtpStreamStats)]
        return Tally(
            data_sent=self._data_sent,
            data_received=self._data_received,
            audio_sent=sum(entry.packetsSent for entry in outbound),
            audio_received=sum(entry.packetsReceived for entry in inbound),
            audio_lost=sum(entry.packetsLost for entry in inbound),
        )

    def read_candidate_types(self) -> tuple[str, str]:
        """Return the ICE types, ours and theirs, of the pair that carries the call."""
        if self._connection.sctp is None:
            raise ProbeFailedError("There is no call.")
        ice = self._connection.sctp.transport.transport._connection  # noqa: SLF001 - aiortc shows no pair
        for pair in ice._nominated.values():  # noqa: SLF001 - nor does aioice
            return pair.local_candidate.type, pair.remote_candidate.type
        raise ProbeFailedError("There is no call.")

    async def _take(self, sdp: str, kind: str) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except ValueError as error:
            raise ProbeFailedError(f"The other side's {kind} is no SDP.") from error

    async def _listen(self, track: MediaStreamTrack) -> None:
        self._sink.addTrack(track)  # what nobody takes, aiortc would keep
        await self._sink.start()

    def _echo(self, channel: RTCDataChannel) -> None:
        def send_back(packet: bytes) -> None:
            self._data_received += 1
            channel.send(packet)
            self._data_sent += 1

        channel.on("message", send_back)
        self._is_open.set()

    def _measure(self, packet: bytes) -> None:
        self._data_received += 1
        number, sent_at = _HEAD.unpack_from(packet)
        self._rtts_ms.append((time.monotonic() - sent_at) * 1000)
        if number == self._last_number:
            self._is_settled.set()
