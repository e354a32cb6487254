"""MTA-STS: which hosts a domain vouches for as its mail exchangers.

For: courier. TLS is verified anyway, so a policy only narrows the hosts down; without one all are good.
Not for: our own policy, which the node serves by HTTP.

    _mta-sts.DOMAIN TXT id ─▶ known, of this id, fresh? ─▶ it holds
                                  └─▶ https://mta-sts.DOMAIN/.well-known/mta-sts.txt ─▶ remembered
                                          └─▶ cannot be had: the former one holds as long as it said

Source: RFC 8461.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from mailnode.dkim.errors import KeyUnavailableError

MAX_POLICY_BYTES = 65_536
MAX_AGE_SECONDS = 31_557_600
MAX_PATTERNS = 100
REMEMBERED_POLICIES = 10_000
FAILED_FETCH_SECONDS = 300
ASKED_AGAIN_SECONDS = 60
"""How long an answer of the DNS counts, that there is no policy included."""

_RECORD = re.compile(rb"v=STSv1[ \t]*;(?:.*;)?[ \t]*id=([A-Za-z0-9]{1,32})[ \t]*(?:;.*)?", re.DOTALL)
_PATTERN = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9])?")


class Mode(StrEnum):
    """What a policy wants."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


class PolicyError(Exception):
    """It is no policy."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy. `patterns` are host names, or `*.` and a domain: exactly one label more."""

    mode: Mode
    max_age_seconds: int
    patterns: tuple[str, ...]

    def allows(self, host: str) -> bool:
        """Tell whether mail may be handed to a host. Source: RFC 8461 section 4.1."""
        if self.mode is not Mode.ENFORCE:
            return True
        name = host.lower().rstrip(".")
        parent = name.partition(".")[2]
        return any(
            parent == pattern[2:] if pattern.startswith("*.") else name == pattern
            for pattern in self.patterns
        )


NO_POLICY = StsPolicy(Mode.NONE, 0, ())

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Fetch the policy of a domain by HTTPS; `None` where it cannot be had."""
FindTexts = Callable[[str], Awaitable[list[bytes]]]
Value = TypeVar("Value")


def read_record(records: list[bytes]) -> str | None:
    """Read the id of a policy; `None` where there is not exactly one. Source: RFC 8461 section 3.1."""
    ids = [match[1].decode() for record in records if (match := _RECORD.fullmatch(record))]
    return ids[0] if len(ids) == 1 else None


def read_sts_policy(content: bytes) -> StsPolicy:
    """Read a policy. Source: RFC 8461 section 3.2.

    Raises:
        PolicyError: It is none.
    """
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise PolicyError("not ASCII") from error
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), []).append(value.strip())
    age = fields.get("max_age", [""])[0]
    if fields.get("version", [""])[0] != "STSv1" or not re.fullmatch(r"[0-9]{1,10}", age):
        raise PolicyError("no version or age")
    try:
        mode = Mode(fields.get("mode", [""])[0])
    except ValueError as error:
        raise PolicyError("no mode") from error
    patterns = tuple(pattern.lower().rstrip(".") for pattern in fields.get("mx", []))
    if len(patterns) > MAX_PATTERNS or not all(map(_PATTERN.fullmatch, patterns)):
        raise PolicyError("no host names")
    if mode is not Mode.NONE and not patterns:
        raise PolicyError("it names no host")
    return StsPolicy(mode, min(int(age), MAX_AGE_SECONDS), patterns)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A policy that was fetched, and until when it holds."""

    id: str
    policy: StsPolicy
    until_seconds: float


@dataclass(slots=True, kw_only=True)
class StsPolicies:
    """The policies of all domains, remembered as long as they say. `renewals` counts what was fetched."""

    find_texts: FindTexts
    fetch: Fetch
    clock_seconds: Callable[[], float] = time.time
    renewals: int = field(init=False, default=0)
    _known: dict[str, Remembered] = field(init=False, default_factory=dict)
    _failed_at: dict[str, float] = field(init=False, default_factory=dict)
    _answers: dict[str, tuple[float, StsPolicy]] = field(init=False, default_factory=dict)

    def list_known(self) -> dict[str, Remembered]:
        """List what is remembered, by domain, and still holds."""
        now_seconds = self.clock_seconds()
        return {domain: each for domain, each in self._known.items() if now_seconds < each.until_seconds}

    def recall(self, known: Mapping[str, Remembered]) -> None:
        """Remember what an earlier process has fetched, but no longer than a policy may hold from now."""
        longest = self.clock_seconds() + MAX_AGE_SECONDS
        for domain, each in known.items():
            until_seconds = min(each.until_seconds, longest)
            _put(self._known, domain, Remembered(each.id, each.policy, until_seconds))

    async def find(self, domain: str) -> StsPolicy:
        """Find the policy of a domain. While nobody can be asked, the one that is remembered holds."""
        asked_at_seconds, policy = self._answers.get(domain, (0.0, NO_POLICY))
        if 0 <= self.clock_seconds() - asked_at_seconds < ASKED_AGAIN_SECONDS:
            return policy
        policy = await self._ask(domain)
        _put(self._answers, domain, (self.clock_seconds(), policy))
        return policy

    async def _ask(self, domain: str) -> StsPolicy:
        known = self._known.get(domain)
        now_seconds = self.clock_seconds()
        if known is not None and now_seconds >= known.until_seconds:
            known = None
        former = NO_POLICY if known is None else known.policy
        try:
            id_ = read_record(await self.find_texts(f"_mta-sts.{domain}"))
        except KeyUnavailableError:
            id_ = None
        if id_ is None or (known is not None and id_ == known.id) or self._has_just_failed(domain):
            return former
        try:
            policy = read_sts_policy(await self.fetch(domain) or b"")
        except PolicyError:
            _put(self._failed_at, domain, now_seconds)
            return former
        _put(self._known, domain, Remembered(id_, policy, now_seconds + policy.max_age_seconds))
        self.renewals += 1
        return policy

    def _has_just_failed(self, domain: str) -> bool:
        since_seconds = self.clock_seconds() - self._failed_at.get(domain, -FAILED_FETCH_SECONDS)
        return 0 <= since_seconds < FAILED_FETCH_SECONDS


def _put(table: dict[str, Value], domain: str, value: Value) -> None:
    """Put something in, as the newest; what has been there longest makes room."""
    table.pop(domain, None)
    while len(table) >= REMEMBERED_POLICIES:
        del table[next(iter(table))]
    table[domain] = value
