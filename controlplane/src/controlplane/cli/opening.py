"""Open the control plane for one command.

Not for: the daemon, which keeps it open (main.py of the package).
"""

import getpass
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import typer
from sqlmodel import Session

from controlplane.admins.audit import Author
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.daemon.settings import read_settings_or_exit

BY_COMMAND = "command line"


def read_settings(context: typer.Context) -> ControlPlaneSettings:
    """Read the settings of the host; wrong ones end the process with exit code 2."""
    quieten_log()
    file = context.find_root().params.get("settings")
    return read_settings_or_exit(ControlPlaneSettings, file if isinstance(file, Path) else None)


@contextmanager
def open_session(context: typer.Context) -> Iterator[tuple[Plane, Session]]:
    """Lend a command the plane and a session, which is committed when the command has succeeded."""
    with open_plane(read_settings(context)) as plane, plane.sessions.begin() as session:
        yield plane, session


def write_author() -> Author:
    """Say who changes something by a command: whoever may run it on this host."""
    return Author(f"host {getpass.getuser()}", BY_COMMAND, int(time.time()))


def quieten_log() -> None:
    """Leave standard output to the command; what an operator must know goes to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
