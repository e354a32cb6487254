"""Tell nodes which exchangers they poll, and with which token.

For: whoever decides desired states.
Not for: the rules of changing them (service.py).
"""

from sqlmodel import Session, col, select

from controlplane.exchangers.models import Exchanger
from controlplane.vault import Vault
from nodelink.contract.federation import ExchangerAccess

SEALED_NAME = "exchanger token"


def name_seal(name: str) -> str:
    """Name what the token of an exchanger is sealed under."""
    return f"{SEALED_NAME} {name}"


def read_access(session: Session, vault: Vault) -> tuple[ExchangerAccess, ...]:
    """Read the exchangers that are polled, by name."""
    rows = session.exec(select(Exchanger).where(col(Exchanger.is_enabled)).order_by(col(Exchanger.name)))
    return tuple(
        ExchangerAccess(
            name=row.name,
            url=row.url,
            interval_seconds=row.poll_interval_seconds,
            token=None if row.sealed_token is None else vault.open(name_seal(row.name), row.sealed_token),
        )
        for row in rows
    )
