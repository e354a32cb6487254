"""The database behind the channels: what a node is owed, and what it says.

For: channels and their hub, which call these blocking functions in threads.
Not for: frames or signatures; documents are signed here because both keys and rows are at hand.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from controlplane.nodes.desired import (
    raise_revision,
    read_turn_peers,
    renew_revisions,
    renew_siblings,
    renew_turn_service,
    tend_turn_secrets,
)
from controlplane.nodes.errands import Errand, Inquiry, find_errands
from controlplane.nodes.fleet import begin_change, read_change_count
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import keep_reports, read_report, select_reports
from controlplane.nodes.sibling_lists import SignedSiblings, measure_siblings
from controlplane.operations.service import acknowledge
from controlplane.plane import Plane
from controlplane.signing.keyring import is_any_known, read_key_rows
from controlplane.signing.service import catch_up, switch_if_acknowledged
from nodelink.contract.reports import Report
from nodelink.contract.states import MAX_REVISION, NodeKind, TurnPeer

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class TurnPeersRead:
    """The TURN nodes that others know, read once for all channels and for as long as nothing has changed.

    Whatever changes them raises the change count in the same transaction (note_reports). The count is read
    first: so what is kept is at least as new as its count.
    """

    _count: int = field(init=False, default=-1)
    _peers: tuple[TurnPeer, ...] = field(init=False, default=())
    _reading: threading.Lock = field(init=False, default_factory=threading.Lock)

    def read(self, session: Session) -> tuple[TurnPeer, ...]:
        """Read them, or remember."""
        count = read_change_count(session)
        with self._reading:
            if self._count < count:
                self._peers, self._count = read_turn_peers(session), count
            return self._peers


@dataclass(frozen=True, slots=True)
class Desk:
    """What channels may do with the database."""

    plane: Plane
    clock: Callable[[], float] = time.time
    turn_peers: TurnPeersRead = field(init=False, default_factory=TurnPeersRead)
    signed_siblings: SignedSiblings = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signed_siblings", SignedSiblings(self.plane.vault))

    def find_keys(self, nodes: Sequence[str]) -> list[str | None]:
        """Find the public keys of nodes; `None` for one that is not enrolled."""
        names = {node for node in nodes if "\0" not in node}
        with self.plane.sessions() as session:
            found = session.exec(select(Node.name, Node.public_key).where(col(Node.name).in_(names)))
            keys = dict(found.all())
        return [keys.get(node) for node in nodes]

    def read_errands(self, inquiries: Sequence[Inquiry]) -> list[Errand | None]:
        """Find what each node is owed; `None` where no node has this key any more."""
        with self.plane.sessions() as session:
            turn_peers = self.turn_peers.read(session)
            return find_errands(session, self.plane.facts, turn_peers, inquiries, int(self.clock()))

    def read_siblings(self, digests: Sequence[str]) -> list[str | None]:
        """Read the frames of lists of siblings; `None` for one that holds no more."""
        with self.plane.sessions() as session:
            return [self.signed_siblings.read(session, digest) for digest in digests]

    def note_hellos(self, hellos: Sequence[tuple[str, int, tuple[str, ...]]]) -> list[None]:
        """Note with which revision and keys nodes come back: there seldom is anything to do."""
        names = {node for node, _, _ in hellos}
        with self.plane.sessions() as session:
            rows = session.exec(select(Node.name, Node.revision).where(col(Node.name).in_(names)))
            revisions = dict(rows.all())
            present = read_key_rows(session).present.public_key
        for node, applied_revision, trusted in hellos:
            if applied_revision > revisions.get(node, 0) or present not in trusted:
                self.note_hello(node, applied_revision, trusted)
        return [None] * len(hellos)

    def note_hello(self, node: str, applied_revision: int, trusted: tuple[str, ...]) -> None:
        """Get ahead of a node that is ahead of the database, as after a restored backup."""
        with self.plane.sessions.begin() as session:
            row = session.get(Node, node)
            if row is None:
                return
            if catch_up(session, self.plane.facts, trusted, int(self.clock())):
                log.warning("signing key switched, because a node has seen the next one sign", node=node)
            elif trusted and not is_any_known(session, trusted):
                log.warning("node trusts none of our keys", node=node, remedy="enrol it anew")
            if applied_revision <= row.revision:
                return
            if applied_revision >= MAX_REVISION:
                log.warning("revision of node not credible", node=node)
                return
            log.warning("node is ahead of the database", node=node, applied=applied_revision)
            raise_revision(session, node, applied_revision)

    def note_report(self, node: str, report: Report) -> bool:
        """Keep one report; tell whether other nodes must now hear of something else."""
        return self.note_reports([(node, report)])[0]

    def note_reports(self, heard: Sequence[tuple[str, Report]]) -> list[bool]:
        """Keep reports; tell of each whether other nodes must now hear of something else (`renew_siblings`).

        Should one not be kept, because its node is retired at this very moment, the others are.
        """
        try:
            return self._note(heard)
        except IntegrityError:
            if len(heard) == 1:
                return [False]
            return [self.note_report(*each) for each in heard]

    def _note(self, heard: Sequence[tuple[str, Report]]) -> list[bool]:
        now_seconds = int(self.clock())
        last = dict(heard)  # of two reports of one node the later one counts
        with self.plane.sessions.begin() as session:
            found = session.exec(select(Node).where(col(Node.name).in_(last))).all()
            kinds = {row.name: NodeKind(row.kind) for row in found}
            former = session.exec(select(NodeReport).where(col(NodeReport.node_name).in_(last))).all()
            places = {row.node_name: _tell_place(read_report(row)) for row in former}
            kept = select_reports(kinds, last)
            moved = {node for node, report in kept.items() if places.get(node) != _tell_place(report)}
            if moved:
                begin_change(session)  # before any row is written: replicas take their locks in one order
            keep_reports(session, kept, now_seconds)
            if any(kinds[node] is NodeKind.TURN for node in moved):
                session.expire_all()  # the reports were kept past what the session remembers
                renew_turn_service(session, self.plane.facts, now_seconds)
        return [node in moved for node, _ in heard]

    def renew_siblings(self) -> int:
        """Tell every mail node what has changed about another one, however many have told something.

        Returns:
            How many bytes the list has that tells it.
        """
        with self.plane.sessions.begin() as session:
            renew_siblings(session, self.plane.facts)
            return measure_siblings(session)

    def note_done(self, node: str, operation: str, problem: str | None) -> None:
        """Note that an operation needs not be sent again."""
        with self.plane.sessions.begin() as session:
            acknowledge(session, node, operation, problem, int(self.clock()))

    def read_change_count(self) -> int:
        """Read how often anything changed, by whichever process."""
        with self.plane.sessions() as session:
            return read_change_count(session)

    def tend_turn_service(self) -> bool:
        """See whether the TURN service that is handed out still is the best; tell whether it was replaced."""
        with self.plane.sessions.begin() as session:
            return renew_turn_service(session, self.plane.facts, int(self.clock()))

    def tend_signing_key(self) -> bool:
        """See whether a rotation of the signing key can be completed; tell whether it was."""
        with self.plane.sessions.begin() as session:
            return switch_if_acknowledged(session, self.plane.facts, int(self.clock()))

    def tend_turn_secrets(self) -> bool:
        """See whether a rotation of the TURN secret can be brought a step further; tell whether it was."""
        with self.plane.sessions.begin() as session:
            return tend_turn_secrets(session, self.plane.facts, int(self.clock()))

    def tend(self) -> bool:
        """Do what is due by now; tell whether nodes must hear of it."""
        return any([self.tend_turn_service(), self.tend_signing_key(), self.tend_turn_secrets()])

    def adopt_settings(self) -> None:
        """Put settings in force that have changed since the last start, as far as they concern nodes."""
        with self.plane.sessions.begin() as session:
            begin_change(session)
            renew_turn_service(session, self.plane.facts, int(self.clock()))
            renew_revisions(session, self.plane.facts)


def _tell_place(report: Report | None) -> tuple[object, ...] | None:
    """Tell what others need to know of a node to reach it; `None` for one that has not said it."""
    if report is None:
        return None
    return report.public_name, report.public_port, report.places, report.udp_ports
