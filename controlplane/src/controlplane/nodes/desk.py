"""The database behind the channels: what a node is owed, and what it says.

For: channels and their hub, which call these blocking functions in threads.
Not for: frames or signatures; documents are signed here because both keys and rows are at hand.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlmodel import Session

from controlplane.nodes.desired import (
    Peers,
    Wanted,
    raise_revision,
    read_peers,
    read_wanted,
    renew_revisions,
    renew_siblings,
    renew_turn_service,
    tend_turn_secrets,
)
from controlplane.nodes.fleet import begin_change, read_change_count
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import keep_report, read_report
from controlplane.operations.service import acknowledge, list_waiting, write_contract
from controlplane.plane import Plane
from controlplane.signing.keyring import SigningKeys, is_any_known, read_key_changes, read_signing_keys
from controlplane.signing.service import catch_up, switch_if_acknowledged
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.reports import Report
from nodelink.contract.states import MAX_REVISION, DesiredState, NodeKind

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """What a node is owed. `document` is `None` if it has the present desired state already.

    `key_changes` are signed documents in their order, `operations` are signed documents by id.
    """

    revision: int
    key_changes: list[str]
    document: str | None
    operations: dict[str, str]


@dataclass(slots=True)
class PeersRead:
    """The nodes that others know, read once for all channels and for as long as nothing has changed.

    Whatever changes them raises the change count in the same transaction (note_report). The count is read
    first: so what is kept is at least as new as its count.
    """

    _count: int = field(init=False, default=-1)
    _peers: Peers = field(init=False, default=Peers())
    _reading: threading.Lock = field(init=False, default_factory=threading.Lock)

    def read(self, session: Session) -> Peers:
        """Read them, or remember."""
        count = read_change_count(session)
        with self._reading:
            if self._count < count:
                self._peers, self._count = read_peers(session), count
            return self._peers


@dataclass(frozen=True, slots=True)
class Desk:
    """What channels may do with the database."""

    plane: Plane
    clock: Callable[[], float] = time.time
    peers: PeersRead = field(init=False, default_factory=PeersRead)

    def find_key(self, node: str) -> str | None:
        """Find a node's public key; `None` for one that is not enrolled."""
        with self.plane.sessions() as session:
            row = None if "\0" in node else session.get(Node, node)
            return None if row is None else row.public_key

    def read_errand(
        self, node: str, public_key: str, sent_revision: int, trusted: Sequence[str]
    ) -> Errand | None:
        """Find what a node is owed that was sent `sent_revision`; `None` if no node has this key any more.

        The row is read before what its state is made of: so the state is at least as new as its revision, and
        whatever is newer has a revision to come. The key changes are read last, so that they lead from the
        keys that the node trusts to the one that has signed.
        """
        now_seconds = int(self.clock())
        with self.plane.sessions() as session:
            row = session.get(Node, node)
            if row is None or row.public_key != public_key:
                return None
            waiting = list_waiting(session, node)
            document, operations = None, {}
            if row.revision != sent_revision or waiting:
                keys = read_signing_keys(session, self.plane.vault)
                if row.revision != sent_revision:
                    wanted = read_wanted(session, self.plane.facts, row, self.peers.read(session))
                    document = sign_state(keys, node, wanted, now_seconds)
                operations = {
                    each.id: sign_document(
                        keys.current, DocumentType.OPERATION, write_contract(each, now_seconds)
                    )
                    for each in waiting
                }
            return Errand(row.revision, read_key_changes(session, trusted), document, operations)

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
        """Keep a report; tell whether other nodes must now hear of something else (`renew_siblings`)."""
        now_seconds = int(self.clock())
        with self.plane.sessions.begin() as session:
            row = session.get(Node, node)
            if row is None:
                return False
            was = read_report(session.get(NodeReport, node))
            is_moved = was is None or _tell_place(was) != _tell_place(report)
            if is_moved:
                begin_change(session)  # before any row is written: replicas take their locks in one order
            if not keep_report(session, row, report, now_seconds) or not is_moved:
                return False
            session.expire_all()  # the report was kept past what the session remembers
            if row.kind == NodeKind.TURN:
                renew_turn_service(session, self.plane.facts, now_seconds)
            return True

    def renew_siblings(self) -> None:
        """Tell every mail node what has changed about another one, however many have told something."""
        with self.plane.sessions.begin() as session:
            renew_siblings(session, self.plane.facts)

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


def sign_state(keys: SigningKeys, node: str, wanted: Wanted, now_seconds: int) -> str:
    """Sign what is wanted of a node, with the keys that it is to trust from then on."""
    desired = DesiredState(
        node=node,
        revision=wanted.revision,
        issued_at_seconds=now_seconds,
        trusted_keys=keys.trusted,
        state=wanted.state,
    )
    return sign_document(keys.current, DocumentType.DESIRED_STATE, desired)


def _tell_place(report: Report) -> tuple[object, ...]:
    """Tell what others need to know of a node to reach it."""
    return report.public_name, report.public_port, report.places
