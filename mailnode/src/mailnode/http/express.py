"""Answer a few paths without the framework that answers all others.

For: requests that a busy node gets by the hundred each second, from programs (federation.endpoint).
Not for: pages.
"""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Express:
    """An application that hands paths in `entries` to those, and all else to `app`."""

    def __init__(self, app: ASGIApp, entries: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._entries = entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._entries.get(scope["path"], self._app)(scope, receive, send)
