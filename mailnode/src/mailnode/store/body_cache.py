"""Bodies that were stored a moment ago, in memory: most mail is fetched at once, by a client that is waiting.

For: sqlite_store.py, on the event loop's thread.
Not for: large bodies; they would push out everything else.
"""

from mailnode.store.mail_store import BodyId

MAX_CACHE_BYTES = 16 << 20


class BodyCache:
    """Keeps the youngest bodies, together at most `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._bodies: dict[BodyId, bytes] = {}

    def put(self, body_id: BodyId, body: bytes) -> None:
        """Keep a body; the oldest ones make room."""
        self._bodies[body_id] = body
        self._size_bytes += len(body)
        while self._size_bytes > self._max_bytes:
            self.drop(next(iter(self._bodies)))

    def get(self, body_id: BodyId) -> bytes | None:
        """Look a body up."""
        return self._bodies.get(body_id)

    def drop(self, body_id: BodyId) -> None:
        """Forget a body; it is no matter whether it is here."""
        body = self._bodies.pop(body_id, None)
        if body is not None:
            self._size_bytes -= len(body)
