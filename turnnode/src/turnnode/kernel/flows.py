"""Which flows programs relay, by the channels that the relay has bound.

    client ── channel n ── relay port ═══ peer                  one element each way
    client ── channel n ── relay port ═══ relay port ── channel m ── client      joined: one pass, not two

    announced ─▶ changes that wait ─▶ flush: at most two system calls for all of them

For: keeping the maps equal to what the relay has announced.
Not for: deciding (relay/), or for who pays (a channel whose maps are full is relayed in userspace).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from turnnode.kernel.buckets import BucketTable
from turnnode.kernel.hops import HopTable, Pair
from turnnode.kernel.layout import (
    DROPPED_WORD,
    EXPIRES_WORD,
    RELAYED_WORD,
    STATE_BYTES,
    STATE_WORDS,
    Ends,
    Rewriting,
    pack_tail,
    rewrite,
    rewrite_both,
    split_relayed,
)
from turnnode.kernel.maps import HashMap, SharedArray
from turnnode.relay.data_path import Flow, Relayed
from turnnode.stun.attributes import Address

_NO_STATE = bytes(STATE_BYTES)

FlowId = tuple[Address, Address, int]
"""Client, server and channel."""


@dataclass(slots=True)
class _Entry:
    """An element of the map: its slot, the next hop and the bucket that it holds, and how it is counted.

    The sender's credential, `username`, pays, and between two clients also that of the receiver. `told` is
    what was counted for them already.
    """

    key: bytes
    slot: int
    hop: Pair
    username: str
    receiver: str | None
    told: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _Known:
    flow: Flow
    entries: list[_Entry] = field(default_factory=list)
    is_joined: bool = False


class FlowTable:
    """The flows of the relay, in the maps of a program.

    Args:
        flows, states: The maps.
        hops: Where frames go.
        buckets: How fast each credential may send.
        is_own: Tells whether a host is one that this node relays from.
    """

    def __init__(
        self,
        *,
        flows: HashMap,
        states: SharedArray,
        hops: HopTable,
        buckets: BucketTable,
        is_own: Callable[[str], bool],
    ) -> None:
        self._flows = flows
        self._states = states
        self._hops = hops
        self._buckets = buckets
        self._is_own = is_own
        self._free = list(range(states.entries - 1, -1, -1))
        self._coming: dict[bytes, tuple[bytes, _Known]] = {}  # by key: the element, and whose it is
        self._going: dict[bytes, int] = {}  # by key: the slot, which nobody gets before the element is gone
        self._known: dict[FlowId, _Known] = {}
        self._by_ends: dict[tuple[Address, Address], _Known] = {}
        self._totals = Relayed()
        self._usage: dict[str, Relayed] = {}  # by username: what was counted and not yet taken

    @property
    def count(self) -> int:
        """How many channels programs relay, in one direction or both."""
        return sum(1 for known in self._known.values() if known.entries)

    def add(self, flow: Flow) -> None:
        """Have a flow relayed, or move its end: now, if it is relayed already, else from `flush` on."""
        known = self._known.get(_id_of(flow))
        if known is not None and _is_same(known.flow, flow):
            known.flow = flow
            self._set_end(known)
            return
        if known is not None:
            self.remove(flow)
        known = _Known(flow)
        self._known[_id_of(flow)] = self._by_ends[flow.published, flow.peer] = known
        if self._is_own(flow.peer[0]):
            self._join(known)
        else:
            near, far = Ends(flow.client, flow.server, flow.channel), Ends(flow.relay, flow.peer)
            self._insert(known, None, *rewrite_both(near, far))

    def is_ready(self, flow: FlowId) -> bool:
        """Tell whether programs have all that they need for a flow."""
        known = self._known.get(flow)
        if known is None or not known.entries:
            return False
        return all(
            entry.key not in self._coming and self._hops.is_known(entry.hop) for entry in known.entries
        )

    def remove(self, flow: Flow) -> None:
        """Leave a flow to userspace, at once; its elements leave the map with `flush`."""
        known = self._known.pop(_id_of(flow), None)
        if known is None:
            return
        self._by_ends.pop((known.flow.published, known.flow.peer), None)
        partner = self._partner_of(known) if known.is_joined else None
        self._take_out(known)
        if partner is not None:
            self._take_out(partner)

    def flush(self) -> bool:
        """Write what waits into the map; tell whether everything found room there."""
        self._flush_going()
        if not self._coming:
            return True
        coming, self._coming = self._coming, {}
        refused = self._flows.put_all({key: element for key, (element, _) in coming.items()})
        for key in refused:
            _, known = coming[key]
            self._take_out(known)
        self._flush_going()
        return not refused

    def take_usage(self) -> dict[str, Relayed]:
        """Tell what each credential has used since the last call, also of flows that have ended meanwhile."""
        self._charge_all()
        usage, self._usage = self._usage, {}
        return usage

    def read_totals(self) -> Relayed:
        """Sum up what was relayed until now."""
        self._charge_all()
        return replace(self._totals)

    def _charge_all(self) -> None:
        for known in self._known.values():
            for entry in known.entries:
                self._charge(entry)

    def _flush_going(self) -> None:
        if self._going:
            self._flows.remove_all(list(self._going))
            self._free.extend(self._going.values())
            self._going.clear()

    def _partner_of(self, known: _Known) -> _Known | None:
        return self._by_ends.get((known.flow.peer, known.flow.published))

    def _join(self, known: _Known) -> None:
        """Lead both clients' data straight to the other one, if both have bound a channel."""
        partner = self._partner_of(known)
        if partner is None or partner is known:
            return
        self._insert(known, partner.flow.username, _across(known.flow, partner.flow))
        self._insert(partner, known.flow.username, _across(partner.flow, known.flow))
        known.is_joined = partner.is_joined = True
        self._set_end(known)

    def _insert(self, known: _Known, receiver: str | None, *ways: Rewriting) -> None:
        """Put elements into the map, all or none."""
        username = known.flow.username
        for key, head, hop in ways:
            place = self._hops.hold(hop)
            if place is None or not self._free:
                if place is not None:
                    self._hops.release(hop)
                self._take_out(known)
                return
            entry = _Entry(key, self._free.pop(), hop, username, receiver)
            known.entries.append(entry)
            if key in self._going:  # it would be taken out after it is put in
                self._flows.remove(key)
                self._free.append(self._going.pop(key))
            other = 0 if receiver is None else self._buckets.hold(receiver)
            buckets = self._buckets.hold(username), other
            self._coming[key] = head + pack_tail(entry.slot, place, buckets), known
        self._set_end(known)

    def _set_end(self, known: _Known) -> None:
        """Write the end; of joined flows, the earlier one's."""
        ends = [known]
        partner = self._partner_of(known) if known.is_joined else None
        if partner is not None:
            ends.append(partner)
        expires_at_ns = int(min(one.flow.expires_at for one in ends) * 1e9)
        for one in ends:
            for entry in one.entries:
                self._states.words[entry.slot * STATE_WORDS + EXPIRES_WORD] = expires_at_ns

    def _take_out(self, known: _Known) -> None:
        for entry in known.entries:
            self._hops.release(entry.hop)
            self._buckets.release(entry.username)
            if entry.receiver is not None:
                self._buckets.release(entry.receiver)
            self._charge(entry)
            self._states.write(entry.slot, _NO_STATE)  # its end has come: nothing is relayed from here on
            if self._coming.pop(entry.key, None) is None:
                self._going[entry.key] = entry.slot
            else:
                self._free.append(entry.slot)
        known.entries.clear()
        known.is_joined = False

    def _charge(self, entry: _Entry) -> None:
        """Count for credentials what an element has relayed since it was asked last."""
        first = entry.slot * STATE_WORDS
        words = self._states.words
        now = words[first + RELAYED_WORD], words[first + DROPPED_WORD]
        if now == entry.told:
            return
        packets, size_bytes = split_relayed(now[0] - entry.told[0])
        dropped = now[1] - entry.told[1]
        entry.told = now
        self._totals.packets += packets
        self._totals.bytes += size_bytes
        self._totals.dropped += dropped
        for payer in (entry.username,) if entry.receiver is None else (entry.username, entry.receiver):
            usage = self._usage.setdefault(payer, Relayed())
            usage.packets += packets
            usage.bytes += size_bytes
        self._usage[entry.username].dropped += dropped


def _id_of(flow: Flow) -> FlowId:
    return flow.client, flow.server, flow.channel


def _is_same(one: Flow, other: Flow) -> bool:
    return (one.relay, one.published, one.peer) == (other.relay, other.published, other.peer)


def _across(one: Flow, other: Flow) -> Rewriting:
    return rewrite(Ends(one.client, one.server, one.channel), Ends(other.server, other.client, other.channel))
