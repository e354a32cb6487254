"""At each moment of a rotation, who knows the DNS as it is, or as it was an hour ago, verifies all mail."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailnode.dkim.errors import NoValidSignatureError
from mailnode.dkim.key_ring import FORMER_SECONDS, SETTLED_SECONDS
from mailnode.dkim.signing import write_signatures
from mailnode.dkim.upkeep import DkimKeys
from mailnode.dkim.verification import LookUp, verify
from support.dkim_mails import DOMAIN, MESSAGE, ask_oracle

pytestmark = pytest.mark.anyio

STEP_SECONDS = 600
OPERATOR_SECONDS = 3 * STEP_SECONDS
"""So long the operator takes to publish what was announced."""
LONG_AGO_SECONDS = FORMER_SECONDS + 10 * SETTLED_SECONDS
"""All of it lies in the past: dkimpy has a clock of its own."""

Zone = Mapping[str, bytes]


def look_up_in(zone: Zone) -> LookUp:
    async def look_up(name: str) -> list[bytes]:
        return [zone[name]] if name in zone else []

    return look_up


@dataclass
class Rotation:
    """A node's keys, an operator who publishes what the node reports, and mails that were signed."""

    directory: Path
    now_seconds: int = field(default_factory=lambda: int(time.time()) - LONG_AGO_SECONDS)
    zones: dict[int, Zone] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = DkimKeys(
            domain=DOMAIN,
            path=self.directory / "keys.json",
            look_up=self.look_up,
            clock_seconds=lambda: self.now_seconds,
        )

    async def look_up(self, name: str) -> list[bytes]:
        return await look_up_in(self.zones[max(self.zones)])(name)

    def publish(self) -> None:
        self.zones[self.now_seconds] = {
            f"{key.selector}._domainkey.{DOMAIN}": key.record.encode() for key in self.keys.read_report()
        }

    def find_zones(self) -> list[Zone]:
        """Find all states of the DNS that a name server may remember now."""
        since = max(at for at in self.zones if at <= self.now_seconds - SETTLED_SECONDS)
        return [zone for at, zone in self.zones.items() if at >= since]

    def sign(self) -> None:
        for key in self.keys.read_keys():
            self.mails.append(write_signatures(MESSAGE, DOMAIN, [key], self.now_seconds) + MESSAGE)

    async def step(self, seconds: int) -> None:
        self.now_seconds += seconds
        await self.keys.take_step()

    async def check(self, mails: Sequence[bytes]) -> None:
        """Verify mails, as we do and as dkimpy does."""
        for zone in self.find_zones():
            for mail in mails:
                await verify(mail, DOMAIN, look_up_in(zone), self.now_seconds)
                assert ask_oracle(mail, dict(zone))

    @property
    def selectors(self) -> list[str]:
        return [key.selector for key in self.keys.read_keys()]


async def test_every_signature_holds_before_during_and_after_the_switch(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        node = Rotation(tmp_path)
        await node.keys.start(stack)
        node.publish()
        await node.step(SETTLED_SECONDS)
        await node.keys.rotate({})
        announced_at = node.now_seconds

        while node.selectors == ["rsa1", "ed1"]:
            node.sign()
            await node.check(node.mails)
            if node.now_seconds == announced_at + OPERATOR_SECONDS:
                node.publish()
            await node.step(STEP_SECONDS)
        first, switched_at = len(node.mails), node.now_seconds
        assert node.selectors == ["rsa2", "ed2"]

        for age_seconds in (0, STEP_SECONDS, SETTLED_SECONDS, FORMER_SECONDS - 1):
            await node.step(switched_at + age_seconds - node.now_seconds)
            node.publish()
            node.sign()
            await node.check(node.mails)

        await node.step(1)
        node.publish()
        await node.check(node.mails[first:])
        for mail in node.mails[:first]:
            with pytest.raises(NoValidSignatureError, match="there is no key"):
                await verify(mail, DOMAIN, node.look_up, node.now_seconds)
