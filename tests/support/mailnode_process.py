"""The program `mailnode` as a process on loopback, with ports and a state directory of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from self_signed import make_certificate
from support.clocks import wait_until

HOST = "127.0.0.1"
SOON_SECONDS = 15
PROGRAM = Path(sys.executable).with_name("mailnode")
PORTS = ("SMTP_TLS_PORT", "SMTP_STARTTLS_PORT", "IMAP_TLS_PORT", "IMAP_STARTTLS_PORT", "HTTPS_PORT")


@dataclass(frozen=True, slots=True)
class RunningNode:
    """A mail node that takes everybody, until its block ends."""

    process: subprocess.Popen[bytes]
    ports: dict[str, int]


@contextmanager
def running_node(
    directory: Path,
    *,
    log: Path | None = None,
    opens_registration: bool = True,
    prefix: Sequence[str] = (),
    **changes: object,
) -> Iterator[RunningNode]:
    """Run a node with open registration and further settings; killed with the block, should it still run.

    What it says goes to `log`, or nowhere. Where one was killed before, it goes on with what that has left.
    Without `opens_registration` it is open to whom the control plane says, and starts sooner. `prefix` is a
    command that starts it elsewhere, such as in another network.
    """
    certificate, key = make_certificate(directory, HOST)
    ports = _find_ports()
    settings = {
        "STATE_DIRECTORY": directory / "state",
        "RUNTIME_DIRECTORY": directory / "run",
        "MAIL_DOMAIN": f"[{HOST}]",
        "LISTEN_ADDRESSES": HOST,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "SUPPORT_CONTACT": "mailto:admin@example.org",
        **ports,
        **changes,
    }
    environment = os.environ | {f"MAILNODE_{name}": str(value) for name, value in settings.items()}
    admin = directory / "run" / "admin.sock"
    admin.unlink(missing_ok=True)  # one that was killed left it: it would look as if this one were ready
    with (
        (log or Path(os.devnull)).open("wb") as output,
        subprocess.Popen(
            [*prefix, PROGRAM, "serve"], env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until(admin.exists, SOON_SECONDS)
            for switch in ("open", "jit-on") if opens_registration else ():
                subprocess.run(
                    [PROGRAM, "registration", switch], env=environment, check=True, capture_output=True
                )
            yield RunningNode(process, ports)
        finally:
            process.kill()


def _find_ports() -> dict[str, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for each in sockets:
            each.bind((HOST, 0))
        return {name: each.getsockname()[1] for name, each in zip(PORTS, sockets, strict=True)}
