"""A served control plane and the command `madfleet`, which is run in this process through its own door."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal

from controlplane.cli import main as cli
from controlplane.plane import Plane
from support.controlplane_site import add_token, open_test_plane, serve_plane

PartT = TypeVar("PartT")


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int
    output: str
    error: str


def call(*arguments: str, environment: Mapping[str, str], typed: str = "") -> Ended:
    """Run `madfleet` as its installed program does."""
    output, error = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "argv", ["madfleet", *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode()))),
        redirect_stdout(output),
        redirect_stderr(error),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int | None)
    return Ended(code or 0, output.getvalue(), error.getvalue())


@dataclass(frozen=True)
class ClientSite:
    """A control plane over loopback, and an operator's home."""

    plane: Plane
    portal: BlockingPortal
    port: int
    home: Path
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What an operator has set who uses variables."""
        return {**self.bare_environment, "MADFLEET_URL": self.url, "MADFLEET_TOKEN": self.token}

    @property
    def bare_environment(self) -> dict[str, str]:
        """What he has set who uses `madfleet login`."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "COLUMNS": "110"}

    def call(self, *arguments: str, typed: str = "") -> Ended:
        return call(*arguments, environment=self.environment, typed=typed)

    def run(self, *arguments: str, typed: str = "") -> str:
        """Run a command that succeeds; return what it prints on standard output."""
        ended = self.call(*arguments, typed=typed)
        assert ended.code == 0, ended
        return ended.output

    def read(self, *arguments: str, typed: str = "") -> Any:  # noqa: ANN401 - JSON of each command's own shape
        """Run a command with `--json`."""
        return json.loads(self.run(*arguments, "--json", typed=typed))

    @contextmanager
    def keep(self, make: Callable[[], AbstractAsyncContextManager[PartT]]) -> Iterator[PartT]:
        """Keep something open that lives in the server's loop."""
        with self.portal.wrap_async_context_manager(make()) as part:
            yield part


@contextmanager
def open_client_site(directory: Path, **changes: object) -> Iterator[ClientSite]:
    """Serve a control plane from a thread of this process. Standard output is the commands'."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with ExitStack() as stack:
        stack.callback(structlog.reset_defaults)
        plane = stack.enter_context(open_test_plane(directory, **changes))
        portal = stack.enter_context(start_blocking_portal())
        home = directory / "home"
        home.mkdir(mode=0o700)
        port = stack.enter_context(portal.wrap_async_context_manager(serve_plane(plane)))
        yield ClientSite(plane, portal, port, home, add_token(plane))
