"""Read what each scope says.

For: service.py, and for whoever decides desired states.
Not for: changing it (service.py).
"""

from sqlmodel import Session, select

from controlplane.federation.models import FederationPolicy, FederationWords

FLEET = "fleet"
NO_WORDS = FederationWords()


def scope_of(*, group: str | None = None, node: str | None = None) -> str:
    """Name the row of a scope."""
    if node is not None:
        return f"node:{node}"
    return FLEET if group is None else f"group:{group}"


def read_words(row: FederationPolicy | None) -> FederationWords:
    """Read the words of a row; `None` is no row, and no words."""
    return NO_WORDS if row is None else FederationWords.model_validate_json(row.words)


def read_all_words(session: Session) -> dict[str, FederationWords]:
    """Read the words of all scopes, by their rows' names."""
    return {row.scope: read_words(row) for row in session.exec(select(FederationPolicy))}


def list_layers(
    words: dict[str, FederationWords], group: str | None, node: str | None
) -> list[FederationWords]:
    """List the words that count at a place, the widest scope first."""
    scopes = [FLEET]
    if group is not None:
        scopes.append(scope_of(group=group))
    if node is not None:
        scopes.append(scope_of(node=node))
    return [words.get(scope, NO_WORDS) for scope in scopes]
