"""Find the control plane for one command, and connect to it.

Not for: calls (api.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import typer

from controlplane.client.api import Api
from controlplane.client.errors import MisuseError
from controlplane.client.target import Target, find_login_file, read_login, read_token, read_url


@dataclass(frozen=True, slots=True)
class Connector:
    """What was said before the command, by options or by the environment.

    Attributes:
        find_host: Finds the control plane of this host, if this is one; it is started only where nothing
            else says where to go.
    """

    url: str | None
    token: str | None
    ca_file: str | None
    find_host: Callable[[], Target | None]

    def find_target(self) -> Target:
        """Find which control plane is meant. Raises: MisuseError."""
        if self.url is None and (host := self.find_host()) is not None:
            return host if self.token is None else replace(host, token=read_token(self.token))
        kept = None if self.url is not None and self.token is not None else read_login(find_login_file())
        url = read_url(self.url) if self.url is not None else None
        if url is not None and kept is not None and kept.url != url:
            kept = None  # the token of one control plane is not shown to another
        if url is None and kept is None:
            raise MisuseError(
                "No control plane is named. Run `madfleet login URL`, or set MADFLEET_URL and MADFLEET_TOKEN."
            )
        token = read_token(self.token) if self.token is not None else kept.token if kept else None
        if token is None:
            raise MisuseError(
                f"No token is known for {url}. Run `madfleet login {self.url}`, or set MADFLEET_TOKEN."
            )
        ca_file = self.ca_file or (kept.ca_file if kept else None)
        return Target(url or (kept.url if kept else ""), token, ca_file)


def read_connector(context: typer.Context) -> Connector:
    """Read what was said before the command."""
    connector = context.find_root().obj
    if not isinstance(connector, Connector):
        raise TypeError("the root command sets it")
    return connector


@contextmanager
def open_api(context: typer.Context) -> Iterator[Api]:
    """Connect one command to the control plane."""
    api = Api(read_connector(context).find_target())
    try:
        yield api
    finally:
        api.close()
