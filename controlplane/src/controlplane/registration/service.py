"""Make a new account on a mail node, and hand it out when it is there.

    candidates ──▶ the one with the most room ──▶ signed operation ──▶ done ──▶ account
                        ▲                              └─▶ refused, or no answer in time: given up
                        └───────── the next one ◀──────────────┘

For: endpoints.
Not for: choosing (placement.py), or what the node does with the operation.
"""

import asyncio
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlmodel import Session, col, select

from controlplane.errors import NoRoomError, RegistrationClosedError, TokenNeededError
from controlplane.nodes.hub import ChannelHub
from controlplane.nodes.models import Node, NodeReport
from controlplane.nodes.reports import read_report
from controlplane.operations.service import (
    AccountOrder,
    count_created_since,
    create_account,
    forget_created_before,
    give_up_account,
)
from controlplane.plane import Plane
from controlplane.policy.models import NodePolicyPublic
from controlplane.policy.service import describe_node_policy, read_node_policy
from controlplane.registration.placement import Candidate, order_by_room
from controlplane.registration.tokens import check_token
from nodelink.contract.reports import MailPlaces, Report
from nodelink.contract.states import NodeKind

MAKE_SECONDS = 4.0
MAX_NODES_ASKED = 3
KEEP_SECONDS = 86_400
NAME_LENGTH = 9
PASSWORD_LENGTH = 22
"""Letters and digits; 22 of them are worth 130 bits."""

Candidates = dict[str, tuple[Candidate, Report]]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that is there. Its password is nowhere else in the clear."""

    address: str
    password: str = field(repr=False)
    places: MailPlaces


@dataclass(frozen=True, slots=True)
class Registration:
    """What makes accounts for one application."""

    plane: Plane
    hub: ChannelHub
    clock: Callable[[], float]

    async def register(self, token: str | None = None, only_node: str | None = None) -> NewAccount:
        """Make an account on the node with the most room; it works when this returns.

        Args:
            token: A registration token; one use of it is counted when there is an account.
            only_node: Where alone it may be made; `None` for anywhere.

        Raises:
            RegistrationClosedError: No mail node takes new accounts, or not the one that is meant.
            TokenNeededError: Only for those with a token.
            TokenRefusedError: The token is unknown, used up or expired.
            TokenElsewhereError: It is one of a node.
            NoRoomError: No node could make the account at this moment.
        """
        connected = self.hub.list_connected()
        token_id, reports = await asyncio.to_thread(self._prepare, token, None, connected)
        if only_node is not None:
            reports = {node: found for node, found in reports.items() if node == only_node}
        if not any(candidate.is_open for candidate, _ in reports.values()):
            raise RegistrationClosedError
        if token_id is None:
            reports = {node: found for node, found in reports.items() if not found[0].is_token_needed}
            if not any(candidate.is_open for candidate, _ in reports.values()):
                raise TokenNeededError
        order = order_by_room(candidate for candidate, _ in reports.values())
        for node in order[:MAX_NODES_ASKED]:
            _, report = reports[node]
            account = invent_account(report)
            if account is not None and await self._make(node, account, token_id):
                return account
        raise NoRoomError(nodes_asked=len(order[:MAX_NODES_ASKED]))

    async def redeem(self, token: str, node: str) -> NewAccount:
        """Make an account on the node at whose own page a token was shown; it works when this returns.

        Raises:
            RegistrationClosedError: The node takes no new accounts.
            TokenRefusedError: The token is unknown, used up or expired.
            TokenElsewhereError: It is for another page.
            NoRoomError: The node could not make the account at this moment.
        """
        connected = self.hub.list_connected()
        token_id, reports = await asyncio.to_thread(self._prepare, token, node, connected)
        candidate, report = reports.get(node, (None, None))
        if candidate is None or report is None or not candidate.is_open:
            raise RegistrationClosedError
        account = invent_account(report) if candidate.is_connected else None
        if account is None or not await self._make(node, account, token_id):
            raise NoRoomError(node=node)
        return account

    async def _make(self, node: str, account: NewAccount, token_id: str | None) -> bool:
        operation = secrets.token_urlsafe(16)
        order = AccountOrder(operation, account.address, account.password, token_id)
        with self.hub.expect(node, operation) as heard:
            await asyncio.to_thread(self._create, node, order)
            self.hub.wake()
            try:
                async with asyncio.timeout(MAKE_SECONDS):
                    problem = (await heard).problem
            except TimeoutError:
                problem = "no answer in time"
                await asyncio.to_thread(self._give_up, operation, account)
                self.hub.wake()
        if problem is not None:
            log.warning("account not made", node=node, problem=problem)
        return problem is None

    def _create(self, node: str, order: AccountOrder) -> None:
        now_seconds = int(self.clock())
        with self.plane.sessions.begin() as session:
            create_account(session, node, order, now_seconds)
            forget_created_before(session, now_seconds - KEEP_SECONDS)

    def _give_up(self, operation: str, account: NewAccount) -> None:
        with self.plane.sessions.begin() as session:
            give_up_account(session, operation, account.address, int(self.clock()))

    def _prepare(
        self, token: str | None, page: str | None, connected: frozenset[str]
    ) -> tuple[str | None, Candidates]:
        """Judge the token at a node's page, or our own, and find the nodes, in one look at the database."""
        with self.plane.sessions() as session:
            found = list_candidates(session, connected)
            if token is None or not any(candidate.is_open for candidate, _ in found):
                token_id = None
            else:
                token_id = check_token(session, self.plane, token, page, int(self.clock()))
            return token_id, {candidate.node: (candidate, report) for candidate, report in found}


def list_candidates(session: Session, connected: frozenset[str]) -> list[tuple[Candidate, Report]]:
    """List the mail nodes that have said where they are, with what they have said."""
    statement = select(Node, NodeReport).where(
        col(Node.name) == col(NodeReport.node_name), col(Node.kind) == NodeKind.MAIL.value
    )
    candidates = []
    for node, row in session.exec(statement).all():
        report = read_report(row)
        if report is None or report.places is None:
            continue
        policy = describe_node_policy(session, read_node_policy(session, node.name))
        accounts = int(report.figures.get("accounts", 0))
        accounts += count_created_since(session, node.name, row.received_at_seconds)
        is_open = _is_open(report, policy) and not node.is_draining
        candidate = Candidate(
            node.name,
            node.weight,
            accounts,
            is_open=is_open,
            is_connected=node.name in connected,
            is_token_needed=policy.in_force.registration_token_required,
            is_draining=node.is_draining,
            makes_unknown_logins=policy.in_force.jit_enabled and "jit_enabled" not in report.overrides,
        )
        candidates.append((candidate, report))
    return candidates


def invent_account(
    report: Report, name_length: int = NAME_LENGTH, password_length: int = PASSWORD_LENGTH
) -> NewAccount | None:
    """Invent an account of a node; `None` for one that has not said where it is."""
    if report.places is None:
        return None
    name = _pick(string.ascii_lowercase + string.digits, name_length)
    password = _pick(string.ascii_letters + string.digits, password_length)
    return NewAccount(f"{name}@{report.public_name}", password, report.places)


def _is_open(report: Report, policy: NodePolicyPublic) -> bool:
    """Tell whether a node takes new accounts; its own admin may have said otherwise than we."""
    if "registration_open" in report.overrides:
        return bool(report.figures.get("registration_open", 0))
    return policy.in_force.registration_open


def _pick(characters: str, length: int) -> str:
    return "".join(secrets.choice(characters) for _ in range(length))
