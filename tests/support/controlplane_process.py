"""The programs `controlplane` and `madfleet` as processes, on a state directory of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from self_signed import make_certificate

START_SECONDS = 60  # a start is seconds of work, and others may have the processor


@dataclass(frozen=True)
class Installation:
    """Where a control plane is installed, and what it was told."""

    directory: Path
    port: int

    @property
    def settings(self) -> Path:
        return self.directory / "settings.env"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `madfleet` with these settings."""
        command = [
            sys.executable,
            "-m",
            "controlplane.cli.main",
            "--settings",
            str(self.settings),
            *arguments,
        ]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_SECONDS)

    @contextmanager
    def start(self, log: Path | None = None) -> Iterator[subprocess.Popen[str]]:
        """Run `controlplane` until it is ready; it is told to end with the block.

        What it logs goes to the end of the file `log`, or else into a pipe.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            address = f"\0madfleet-test-{os.getpid()}-{self.directory.name}-{self.port}"
            manager.settimeout(START_SECONDS)
            manager.bind(address)
            environment = os.environ | {"NOTIFY_SOCKET": f"@{address[1:]}"}
            command = [sys.executable, "-m", "controlplane.main", "--settings", str(self.settings)]
            with ExitStack() as stack:
                output = stack.enter_context(log.open("ab")) if log else subprocess.PIPE
                process = stack.enter_context(
                    subprocess.Popen(command, env=environment, stdout=output, text=True)
                )
                try:
                    while manager.recv(4096) != b"READY=1":
                        continue
                    yield process
                finally:
                    process.terminate()
                    process.communicate(timeout=START_SECONDS)


def install(directory: Path, **changes: object) -> Installation:
    """Write a certificate and a settings file."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    certificate, key = make_certificate(directory, "127.0.0.1")
    settings = {
        "state_directory": directory / "state",
        "listen_addresses": "127.0.0.1",
        "port": port,
        "public_url": f"https://127.0.0.1:{port}",
        "tls_certificate": certificate,
        "tls_key": key,
        "tls_pinned": "true",
    }
    lines = (f"CONTROLPLANE_{name.upper()}={value}\n" for name, value in (settings | changes).items())
    installation = Installation(directory, port)
    installation.settings.write_text("".join(lines))
    return installation
