"""The fleet's own row, which orders all changes.

For: whoever changes something that nodes must hear of. He begins with `begin_change`.
Not for: what changes.
"""

from sqlalchemy import text
from sqlmodel import Session, col, select, update

from controlplane.nodes.models import Fleet

IS_CHANGED = "is_changed"
NEWS = "madfleet_change"
"""What replicas listen to at PostgreSQL; it says nothing but that there is something new."""


def begin_change(session: Session) -> Fleet:
    """Hold every other change off until this one is committed, and have nodes looked after when it is.

    Being the first statement that writes, it takes SQLite's write lock, or PostgreSQL's lock on this row;
    what is read after it is the latest, so a decision that is based on it still holds at the commit.
    """
    session.exec(update(Fleet).values(change_count=col(Fleet.change_count) + 1))
    connection = session.connection()
    if connection.dialect.name == "postgresql":  # sent at the commit, to every replica
        connection.execute(text(f"NOTIFY {NEWS}"))
    session.expire_all()
    session.info[IS_CHANGED] = True
    return read_fleet(session)


def read_fleet(session: Session) -> Fleet:
    """Read the fleet's row."""
    return session.exec(select(Fleet)).one()


def read_change_count(session: Session) -> int:
    """Read how often anything changed that nodes must hear of; one cheap query."""
    return session.exec(select(Fleet.change_count)).one()
