"""What the pools of TURN nodes hand out now: kept, read back and shown.

For: the desired states (desired.py) and the Admin API.
Not for: deciding (turn_access.py).
"""

from collections.abc import Mapping

from sqlmodel import Session, delete, select

from controlplane.nodes.reports import find_turn_candidates
from controlplane.nodes.turn_access import TurnChoice, TurnService, divide_into_pools
from controlplane.nodes.turn_models import TurnPool, TurnPoolOffer, TurnPoolPublic

Choices = Mapping[str | None, TurnChoice]
"""What is handed out, by group; that of the fleet's pool, under `None`, is always there."""


def read_choices(session: Session) -> Choices:
    """Read what is handed out."""
    services = {row.group_name: TurnService(row.host, row.port) for row in session.exec(select(TurnPool))}
    offers: dict[str, dict[int, str]] = {}
    for row in session.exec(select(TurnPoolOffer)):
        offers.setdefault(row.group_name, {})[row.port] = row.host
    return {
        group or None: TurnChoice(services.get(group), offers.get(group, {}))
        for group in {"", *services, *offers}
    }


def keep_choices(session: Session, choices: Choices) -> None:
    """Keep what is handed out, in place of what was."""
    session.exec(delete(TurnPool))
    session.exec(delete(TurnPoolOffer))
    for group, choice in choices.items():
        name = group or ""
        if choice.usual is not None:
            session.add(TurnPool(group_name=name, host=choice.usual.host, port=choice.usual.port))
        session.add_all(
            TurnPoolOffer(group_name=name, port=port, host=host) for port, host in choice.offers.items()
        )


def describe_pools(session: Session, now_seconds: int) -> list[TurnPoolPublic]:
    """Describe the fleet's pool, and each group that has TURN nodes, by name."""
    choices, candidates = read_choices(session), find_turn_candidates(session, now_seconds)
    members: dict[str | None, list[str]] = {None: [each.node for each in divide_into_pools(candidates)[None]]}
    for each in candidates:
        if each.group is not None:
            members.setdefault(each.group, []).append(each.node)
    pools = []
    for group, nodes in sorted(members.items(), key=lambda item: item[0] or ""):
        usual = choices.get(group, choices[None]).usual
        pools.append(
            TurnPoolPublic(
                group=group,
                host=usual.host if usual else None,
                port=usual.port if usual else None,
                nodes=sorted(nodes),
                is_serving=group in choices,
            )
        )
    return pools
