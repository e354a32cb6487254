"""The mail node as it is deployed: its bundle in a Debian 13 tree; or, for a smoke, this checkout's program.

For: the bench. All features are on, only the limits of rate are off.
Not for: loads.
"""

import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mail.closed_loop import Target
from mail.tree import Tree
from mail.wire import BenchError
from self_signed import make_certificate
from wheels import find_bundle, update_bundle

HOST, DOMAIN = "127.0.0.1", "chat.example.org"
SMTP_PORT, IMAP_PORT = 29465, 29993
READY_SECONDS = 30
BUNDLE = find_bundle("mailnode", os.uname().machine)
RELEASE = "/opt/mailnode"
STATE, RUNTIME, SETTINGS = "/var/lib/mailnode", "/run/mailnode", "/etc/bench/settings"
SYNCS = "/var/log/syncs"
TRACE = ("strace", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", SYNCS)
INSTALL = (
    "./uv venv --quiet --offline --no-python-downloads --python /usr/bin/python3 venv"
    " && ./uv pip install --quiet --offline --no-index --find-links=wheels --require-hashes"
    " --compile-bytecode --python=venv/bin/python --requirement=requirements.txt"
)


def make_settings(
    state: Path, runtime: Path, certificate: Path, key: Path, more: Mapping[str, object]
) -> dict[str, str]:
    """Write the settings as environment variables; `more` of them replace these."""
    settings: dict[str, object] = {
        "STATE_DIRECTORY": state,
        "RUNTIME_DIRECTORY": runtime,
        "MAIL_DOMAIN": DOMAIN,
        "PUBLIC_HOST": HOST,
        "LISTEN_ADDRESSES": HOST,
        "TLS_CERTIFICATE": certificate,
        "TLS_KEY": key,
        "SUPPORT_CONTACT": "mailto:admin@example.org",
        "SMTP_TLS_PORT": SMTP_PORT,
        "IMAP_TLS_PORT": IMAP_PORT,
        "SMTP_STARTTLS_PORT": 29587,
        "IMAP_STARTTLS_PORT": 29143,
        "HTTPS_PORT": 29443,
        "MESSAGES_PER_MINUTE": 0,
        "NEW_ACCOUNTS_PER_MINUTE": 0,
        **more,
    }
    return {f"MAILNODE_{name}": str(value) for name, value in settings.items()}


def make_node_bundle() -> None:
    """Make the bundle of this checkout; it may need the network. Raises: BundleError."""
    update_bundle("mailnode", os.uname().machine)


def install_node(tree: Tree, name: str = HOST, **settings: object) -> None:
    """Install the bundle in a tree, as the playbook does, with a certificate. Raises: BenchError."""
    place = tree.root / RELEASE.lstrip("/")
    place.mkdir()
    with tarfile.open(BUNDLE) as archive:
        archive.extractall(place, filter="data")
    tree.run("sh", "-c", f"cd {RELEASE} && {INSTALL}")
    certificate, key = make_certificate(tree.home, name)
    for file in (certificate, key):
        tree.write(f"/etc/bench/{file.name}", file.read_bytes())
    inside = Path("/etc/bench")
    written = make_settings(
        Path(STATE), Path(RUNTIME), inside / certificate.name, inside / key.name, settings
    )
    tree.write(SETTINGS, "".join(f"export {variable}='{value}'\n" for variable, value in written.items()))


def start_node(
    tree: Tree, *, is_traced: bool = False, opens_registration: bool = True
) -> "subprocess.Popen[bytes]":
    """Start the installed node with open registration; traced, its syncs go to a file. Raises: BenchError.

    Without `opens_registration` it is open to whom its control plane says.
    """
    program = f". {SETTINGS}; exec {RELEASE}/venv/bin/mailnode"
    socket = tree.root / RUNTIME.lstrip("/") / "admin.sock"
    socket.unlink(missing_ok=True)  # a former one's, which was killed
    node = tree.start(*(TRACE if is_traced else ()), "sh", "-c", f"{program} serve", log="node.log")
    _wait_until_open(socket, node, tree.home / "node.log")
    for switch in ("open", "jit-on") if opens_registration else ():
        tree.run("sh", "-c", f"{program} registration {switch}")
    return node


def describe(tree: Tree) -> Target:
    """Describe the node in a tree as something to load."""
    return _describe(tree.group.read_cpu_seconds)


def count_syncs(tree: Tree) -> int:
    """Count what a traced node has asked of its disk: each a wait until it is safe from a power cut."""
    text = (tree.root / SYNCS.lstrip("/")).read_text()
    return len(re.findall(r"\bf(?:data)?sync\(", text))


@contextmanager
def serve_checkout(directory: Path) -> Iterator[Target]:
    """Run the program of this checkout on the first core; the load has the others."""
    certificate, key = make_certificate(directory, HOST)
    settings = make_settings(directory / "state", directory / "run", certificate, key, {})
    environment: Mapping[str, str] = {**os.environ, **settings}
    program = str(Path(sys.executable).parent / "mailnode")
    cores = sorted(os.sched_getaffinity(0))
    with (directory / "log").open("wb") as log:
        node = subprocess.Popen([program, "serve"], env=environment, stdout=log, stderr=log)
    try:
        os.sched_setaffinity(node.pid, cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        _wait_until_open(directory / "run" / "admin.sock", node, directory / "log")
        for switch in ("open", "jit-on"):
            words: Sequence[str] = (program, "registration", switch)
            subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)
        yield _describe(lambda: _read_cpu_seconds(node.pid))
    finally:
        node.terminate()
        node.wait()


def _describe(read_cpu_seconds: Callable[[], tuple[float, float]]) -> Target:
    return Target(
        name="mail node",
        host=HOST,
        domain=DOMAIN,
        smtp_port=SMTP_PORT,
        imap_port=IMAP_PORT,
        read_cpu_seconds=read_cpu_seconds,
    )


def _read_cpu_seconds(pid: int) -> tuple[float, float]:
    """Read user and system time of a process, all its threads together. Source: proc(5), /proc/pid/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


def _wait_until_open(socket: Path, node: "subprocess.Popen[bytes]", log: Path) -> None:
    ends_at = time.monotonic() + READY_SECONDS
    while not socket.exists():
        if node.poll() is not None or time.monotonic() > ends_at:
            raise BenchError("the mail node does not start:\n" + log.read_text())
        time.sleep(0.05)
