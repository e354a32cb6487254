"""MTA-STS: which hosts a domain vouches for as its mail exchangers.

For: courier. TLS is verified anyway, so a policy only narrows the hosts down; without one all are good.
Not for: our own policy, which the node serves by HTTP.

    _mta-sts.DOMAIN TXT id ─▶ known, of this id, fresh? ─▶ it holds
                                  └─▶ https://mta-sts.DOMAIN/.well-known/mta-sts.txt ─▶ remembered

Source: RFC 8461.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from mailnode.dkim.errors import KeyUnavailableError

MAX_POLICY_BYTES = 65_536
MAX_AGE_SECONDS = 31_557_600
MAX_PATTERNS = 100
REMEMBERED_POLICIES = 10_000
FAILED_FETCH_SECONDS = 300

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
class _Remembered:
    id: str
    policy: StsPolicy
    until_seconds: float


@dataclass(slots=True, kw_only=True)
class StsPolicies:
    """The policies of all domains, remembered as long as they say."""

    find_texts: FindTexts
    fetch: Fetch
    clock_seconds: Callable[[], float] = time.time
    _known: dict[str, _Remembered] = field(init=False, default_factory=dict)

    async def find(self, domain: str) -> StsPolicy:
        """Find the policy of a domain. While nobody can be asked, the one that is remembered holds."""
        known = self._known.get(domain)
        now_seconds = self.clock_seconds()
        is_fresh = known is not None and now_seconds < known.until_seconds
        try:
            id_ = read_record(await self.find_texts(f"_mta-sts.{domain}"))
        except KeyUnavailableError:
            id_ = None
        if known is not None and is_fresh and id_ in (None, known.id):
            return known.policy
        if id_ is None:
            return NO_POLICY
        return await self._renew(domain, id_, known if is_fresh else None, now_seconds)

    async def _renew(self, domain: str, id_: str, known: _Remembered | None, now_seconds: float) -> StsPolicy:
        content = await self.fetch(domain)
        former = NO_POLICY if known is None else known.policy
        try:
            policy = read_sts_policy(content or b"")
            seconds = float(policy.max_age_seconds)
        except PolicyError:
            policy, seconds = former, FAILED_FETCH_SECONDS
        while len(self._known) >= REMEMBERED_POLICIES:
            del self._known[next(iter(self._known))]
        self._known[domain] = _Remembered(id_, policy, now_seconds + seconds)
        return policy
