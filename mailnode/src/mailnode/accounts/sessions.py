"""Which sessions an account has open, so that they can be ended.

For: accounts.py, when an account is banned or removed or gets another password.
Not for: what a session is; it hands in a function that ends it.
"""

from collections.abc import Callable

import structlog

from mailnode.store.mail_store import AccountId

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sessions:
    """The open sessions of this process by account."""

    def __init__(self) -> None:
        self._ends: dict[AccountId, dict[object, Callable[[], None]]] = {}

    def watch(self, account_id: AccountId, end: Callable[[], None]) -> Callable[[], None]:
        """Remember how to end a session; the returned function forgets it, and may be called twice."""
        token = object()
        self._ends.setdefault(account_id, {})[token] = end

        def forget() -> None:
            ends = self._ends.get(account_id)
            if ends is not None and ends.pop(token, None) is not None and not ends:
                del self._ends[account_id]

        return forget

    def end_all(self, account_id: AccountId) -> None:
        """End every session of an account; one that fails does not save the others."""
        for end in self._ends.pop(account_id, {}).values():
            try:
                end()
            except Exception:
                log.exception("session could not be ended")

    def has(self, account_id: AccountId) -> bool:
        """Tell whether an account has a session."""
        return account_id in self._ends

    def count(self) -> int:
        """Count the open sessions."""
        return sum(map(len, self._ends.values()))
