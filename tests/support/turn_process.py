"""The program `turnnode` as a process on loopback."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nodelink.channel.node_files import NodeFiles
from support.log_lines import read_events

HOST = "127.0.0.1"
PROGRAM = Path(sys.executable).with_name("turnnode")


@dataclass(frozen=True)
class TurnProcess:
    """A TURN node with a state directory and a log of its own."""

    directory: Path
    name: str
    port: int
    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def environment(self) -> dict[str, str]:
        settings = {
            "STATE_DIRECTORY": self.directory / "state",
            "LISTEN_ADDRESSES": HOST,
            "PORT": self.port,
            "PUBLIC_NAME": HOST,
            **self.changes,
        }
        return os.environ | {f"TURNNODE_{name}": str(value) for name, value in settings.items()}

    def read_events(self, event: str) -> list[dict[str, object]]:
        """Read what it has logged under one name."""
        return read_events(self.log, event)

    @contextmanager
    def start(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon; it is killed with the block."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen([PROGRAM, "serve"], env=self.environment, stdout=log) as process,
        ):
            try:
                yield process
            finally:
                process.kill()


def make_turn_process(directory: Path, kept: NodeFiles, name: str = "turn1", **changes: str) -> TurnProcess:
    """Make a node that goes on with what was kept of its enrolment, on a port that is free."""
    shutil.copytree(kept.directory, directory / "state" / "node")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        return TurnProcess(directory, name, free.getsockname()[1], changes)
