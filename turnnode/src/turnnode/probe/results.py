"""What a probe measured, and how it is shown.

For: the two sides of a call, which may be two processes.
Not for: making the call (call.py).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one side counted; `audio` are RTP packets, of which the receiver knows how many are missing."""

    data_sent: int
    data_received: int
    audio_sent: int
    audio_received: int
    audio_lost: int

    def as_json(self) -> JsonObject:
        """Return the counts by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, counts: JsonObject) -> "Tally":
        """Read what `as_json` wrote.

        Raises:
            ValueError: A count is missing, unknown or no number.
        """
        names = cls.__slots__
        numbers = {name: value for name, value in counts.items() if type(value) is int}
        if numbers.keys() != set(names) or numbers.keys() != counts.keys():
            raise ValueError(f"a tally has exactly these numbers: {', '.join(names)}")
        return cls(**numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of the call."""

    data_sent: int
    data_lost: int
    audio_received: int
    audio_lost: int

    @classmethod
    def between(cls, sender: Tally, receiver: Tally) -> "Way":
        """Compare what one side sent with what the other received."""
        return cls(
            data_sent=sender.data_sent,
            data_lost=max(0, sender.data_sent - receiver.data_received),
            audio_received=receiver.audio_received,
            audio_lost=receiver.audio_lost,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """A whole call; times in milliseconds, `there` from the caller to the callee.

    `local_candidate` and `remote_candidate` are the ICE types of the pair that carried the call.
    """

    connect_ms: float
    rtt_ms: dict[str, float]
    there: Way
    back: Way
    local_candidate: str
    remote_candidate: str

    @property
    def loss_percent(self) -> float:
        """The worst of the four losses: audio and data, each way."""
        return max(
            _percent(lost, total)
            for way in (self.there, self.back)
            for lost, total in (
                (way.data_lost, way.data_sent),
                (way.audio_lost, way.audio_received + way.audio_lost),
            )
        )

    def as_json(self) -> JsonObject:
        """Return all figures by name."""
        return {"type": "result", "loss_percent": round(self.loss_percent, 3), **asdict(self)}

    def as_text(self) -> str:
        """Return the figures for people."""
        lines = [
            f"connected in {self.connect_ms:.0f} ms over {self.local_candidate} to {self.remote_candidate}",
            "round trip " + ", ".join(f"{name} {value:.2f} ms" for name, value in self.rtt_ms.items()),
        ]
        lines += [
            f"{name}: data {way.data_sent - way.data_lost} of {way.data_sent} packets, "
            f"audio {way.audio_received} of {way.audio_received + way.audio_lost} packets"
            for name, way in (("there", self.there), ("back", self.back))
        ]
        return "\n".join([*lines, f"loss {self.loss_percent:.2f} %"])


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the maximum, each a value that was measured; nothing without values."""
    ordered = sorted(values_ms)
    if not ordered:
        return {}
    named = {f"p{share}": ordered[max(0, ceil(len(ordered) * share / 100) - 1)] for share in (50, 95, 99)} | {
        "max": ordered[-1]
    }
    return {name: round(value, 3) for name, value in named.items()}


def _percent(part: int, whole: int) -> float:
    """Return a share; of nothing, everything is lost."""
    return 100 * part / whole if whole else 100.0
