"""BIND from Debian on loopback: a primary with a zone that a key may change. Nobody else is asked."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from support.clocks import wait_until

HOST = "127.0.0.1"
ZONE = "example.org"
SOON_SECONDS = 15
KEY_TEXT = """key "fleet.example.org" {
\talgorithm hmac-sha256;
\tsecret "c2VjcmV0IG9mIGEgdGVzdCwgYW5kIG9mIG5vYm9keSBlbHNl";
};
"""
SETTINGS = """include "{key}";
options {{
    directory "{directory}";
    listen-on port {port} {{ {host}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{directory}";
    recursion no;
    notify no;
    dnssec-validation no;
}};
controls {{ }};
zone "{zone}" {{
    type primary;
    file "{directory}/zone";
    check-names ignore;
    update-policy {{ grant fleet.example.org zonesub any; }};
}};
"""
FIRST_RECORDS = """$ORIGIN {zone}.
$TTL 300
@ IN SOA ns admin 1 3600 600 86400 60
@ IN NS ns
ns IN A 192.0.2.53
"""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A name server, until its block ends."""

    port: int
    key_file: Path

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"


@contextmanager
def running_name_server(
    directory: Path, records: str = "", port: int | None = None
) -> Iterator[RunningServer]:
    """Run a primary of `example.org` that has these records besides; without a port, on a free one."""
    program = shutil.which("named", path="/usr/sbin:/usr/bin")
    assert program, "install bind9, as scripts/test.sh does"
    directory.mkdir()
    directory.chmod(0o755)
    key_file = directory / "update.key"
    key_file.write_text(KEY_TEXT)
    key_file.chmod(0o640)
    port = port or _find_port()
    (directory / "zone").write_text(FIRST_RECORDS.format(zone=ZONE) + records)
    settings = directory / "named.conf"
    settings.write_text(SETTINGS.format(directory=directory, port=port, zone=ZONE, key=key_file, host=HOST))
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen([program, "-f", "-n", "1", "-4", "-c", settings], stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: _answers(port), SOON_SECONDS)
            yield RunningServer(port, key_file)
        finally:
            process.terminate()


def _find_port() -> int:
    with socket.socket() as tcp:
        tcp.bind((HOST, 0))
        port: int = tcp.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        dns.query.udp(dns.message.make_query(ZONE, "SOA"), HOST, timeout=0.2, port=port)
    except (dns.exception.DNSException, OSError):
        return False
    return True
