"""TLS records without a detour: what reads and writes them is taken from OpenSSL's side as it is.

For: every TLS context of the mail ports. A message is some twenty records, in or out, and `ssl.SSLObject` has
a function in Python around each of the three functions in C that its user calls for each.
Not for: handshakes, certificates or the end of a connection, which stay as they are.
"""

import ssl
from collections.abc import Callable


class DirectTlsObject(ssl.SSLObject):
    """As its base; whoever keeps `read`, `write` and `pending`, as uvloop does, calls no Python there."""

    _sslobj: "ssl.SSLObject"  # typeshed has no name for what OpenSSL's side is

    @property
    def read(self) -> Callable[..., bytes]:
        """What reads a record."""
        return self._sslobj.read

    @property
    def write(self) -> Callable[..., int]:
        """What writes a record."""
        return self._sslobj.write

    @property
    def pending(self) -> Callable[[], int]:
        """What tells how much of a record was not read yet."""
        return self._sslobj.pending


def read_directly(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have a context make such objects from now on, and return it."""
    context.sslobject_class = DirectTlsObject
    return context
