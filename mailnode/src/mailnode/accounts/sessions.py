"""Which sessions an account has open, so that they can be ended.

For: accounts.py, when an account is banned or removed or gets another password.
Not for: what a session is; it hands in a function that ends it.
"""

from collections.abc import Callable

import structlog

from mailnode.store.mail_store import AccountId

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Open:
    """One open session; calling it forgets it. Small, because thousands only wait."""

    __slots__ = ("_account_id", "_sessions", "end")

    def __init__(
        self, sessions: "dict[AccountId, list[_Open]]", account_id: AccountId, end: Callable[[], None]
    ) -> None:
        self._sessions = sessions
        self._account_id = account_id
        self.end = end

    def __call__(self) -> None:
        sessions = self._sessions.get(self._account_id)
        if sessions is not None and self in sessions:
            sessions.remove(self)
            if not sessions:
                del self._sessions[self._account_id]


class Sessions:
    """The open sessions of this process by account."""

    def __init__(self) -> None:
        self._sessions: dict[AccountId, list[_Open]] = {}

    def watch(self, account_id: AccountId, end: Callable[[], None]) -> Callable[[], None]:
        """Remember how to end a session; the returned function forgets it, and may be called twice."""
        session = _Open(self._sessions, account_id, end)
        self._sessions.setdefault(account_id, []).append(session)
        return session

    def end_all(self, account_id: AccountId) -> None:
        """End every session of an account; one that fails does not save the others."""
        for session in self._sessions.pop(account_id, []):
            try:
                session.end()
            except Exception:
                log.exception("session could not be ended")

    def has(self, account_id: AccountId) -> bool:
        """Tell whether an account has a session."""
        return account_id in self._sessions

    def count(self) -> int:
        """Count the open sessions."""
        return sum(map(len, self._sessions.values()))
