"""BIND from Debian on loopback: a primary with zones that a key may change. Nobody else is asked."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
"""
ZONE_SETTINGS = """zone "{zone}" {{
    type primary;
    file "{directory}/{zone}.zone";
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
    with running_primary(directory, {ZONE: records}, port or _find_port()) as server:
        yield server


@contextmanager
def running_primary(directory: Path, zones: Mapping[str, str], port: int) -> Iterator[RunningServer]:
    """Run a primary of zones, each with its records besides those that every zone has."""
    program = shutil.which("named", path="/usr/sbin:/usr/bin")
    assert program, "install bind9, as scripts/test.sh does"
    directory.mkdir()
    directory.chmod(0o755)
    key_file = directory / "update.key"
    key_file.write_text(KEY_TEXT)
    key_file.chmod(0o640)
    settings = directory / "named.conf"
    words = {"directory": directory, "port": port, "key": key_file, "host": HOST}
    text = SETTINGS.format_map(words)
    for zone, records in zones.items():
        (directory / f"{zone}.zone").write_text(FIRST_RECORDS.format(zone=zone) + records)
        text += ZONE_SETTINGS.format(directory=directory, zone=zone)
    settings.write_text(text)
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen([program, "-f", "-n", "1", "-4", "-c", settings], stdout=log, stderr=log) as process,
    ):
        try:
            for zone in zones:
                wait_until(partial(_answers, zone, port), SOON_SECONDS)
            yield RunningServer(port, key_file)
        finally:
            process.terminate()


def _find_port() -> int:
    with socket.socket() as tcp:
        tcp.bind((HOST, 0))
        port: int = tcp.getsockname()[1]
        return port


def _answers(zone: str, port: int) -> bool:
    try:
        dns.query.udp(dns.message.make_query(zone, "SOA"), HOST, timeout=0.2, port=port)
    except (dns.exception.DNSException, OSError):
        return False
    return True
