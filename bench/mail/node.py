"""The mail node as it is deployed: its bundle in a Debian 13 tree.

For: the bench. All features are on, only the limits of rate are off.
Not for: loads, or the node of this checkout (checkout.py).
"""

import os
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
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
    wait_until_open(socket, node, tree.home / "node.log")
    for switch in ("open", "jit-on") if opens_registration else ():
        tree.run("sh", "-c", f"{program} registration {switch}")
    return node


def describe(tree: Tree) -> Target:
    """Describe the node in a tree as something to load."""
    return describe_as(tree.group.read_cpu_seconds)


def count_syncs(tree: Tree) -> int:
    """Count what a traced node has asked of its disk: each a wait until it is safe from a power cut."""
    text = (tree.root / SYNCS.lstrip("/")).read_text()
    return len(re.findall(r"\bf(?:data)?sync\(", text))


def describe_as(
    read_cpu_seconds: Callable[[], tuple[float, float]], *, smtp: int = SMTP_PORT, imap: int = IMAP_PORT
) -> Target:
    """Describe a node on these ports as something to load."""
    return Target(
        name="mail node",
        host=HOST,
        domain=DOMAIN,
        smtp_port=smtp,
        imap_port=imap,
        read_cpu_seconds=read_cpu_seconds,
    )


def wait_until_open(socket: Path, node: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a node takes commands, which is when it serves. Raises: BenchError."""
    ends_at = time.monotonic() + READY_SECONDS
    while not socket.exists():
        if node.poll() is not None or time.monotonic() > ends_at:
            raise BenchError("the mail node does not start:\n" + log.read_text())
        time.sleep(0.05)
