"""Postfix and OpenDKIM from Debian, as a server of others has them, with the name server of a test.

Needs root, both programs, and a network of the test's own: it takes port 25, and asks at port 53.
"""

import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailnode.dkim.signing import SigningKey
from support.clocks import wait_until
from support.peering_site import find_free_port

SOON_SECONDS = 30
NOBODY = 65_534
SMTP_PORT = 25
SIGNED, UNSIGNED = "127.66.0.1", "127.66.0.2"
"""From where it takes mail of its users: with a signature for them, and without."""
WITH_RESOLVER = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --bind "$0" /etc/resolv.conf && exec "$@"',
)
"""Runs a program with another /etc/resolv.conf; the two follow."""
SERVICES = """
{listen}:smtp inet n - n - - smtpd
127.0.0.1:smtp inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
POSTFIX = """
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file_prefixes = {home}
maillog_file = {home}/mail.log
myhostname = {host}
mydestination =
mynetworks = {signed}/32, {unsigned}/32
inet_interfaces = 127.0.0.1, {address}
inet_protocols = all
{bind} = {address}
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:box/
virtual_mailbox_base = {home}/boxes
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {home}/tls.crt
smtpd_tls_key_file = {home}/tls.key
smtp_tls_security_level = verify
smtp_tls_CAfile = {home}/authorities.pem
smtp_tls_loglevel = 1
smtpd_milters = inet:127.0.0.1:{milter}
milter_default_action = tempfail
"""
OPENDKIM = """
Mode sv
Domain {domain}
Selector {selector}
SignatureAlgorithm {algorithm}
KeyFile {home}/dkim.key
Socket inet:{milter}@127.0.0.1
InternalHosts {signed}
Nameservers {name_server}
On-BadSignature reject
Canonicalization relaxed/simple
AlwaysAddARHeader yes
AuthservID {domain}
UserID root
RequireSafeKeys no
Syslog no
"""


@dataclass(frozen=True)
class Far:
    """What the server is for, what it is called, where it is, and whom it asks for names."""

    domain: str
    host: str
    address: str
    name_server: str


@dataclass
class PostfixServer:
    """A running server of others; its files are gone with its block."""

    far: Far
    home: Path
    milter: int = field(default_factory=find_free_port)

    def send(self, sender: str, recipient: str, message: bytes, source: str = SIGNED) -> None:
        """Hand it mail of one of its users."""
        place = (source, 0)
        with smtplib.SMTP("127.0.0.1", SMTP_PORT, source_address=place, timeout=SOON_SECONDS) as client:
            client.starttls(context=ssl._create_unverified_context())  # noqa: S323, SLF001 - of a test
            client.sendmail(sender, [recipient], message)

    def read_mail(self) -> list[bytes]:
        """Read what it has delivered, whoever it was for."""
        return [file.read_bytes() for file in sorted((self.home / "boxes/box/new").glob("*"))]

    def wait_for_mail(self) -> bytes:
        """Wait for the one message that it delivers."""
        wait_until(lambda: bool(self.read_mail()), SOON_SECONDS)
        (message,) = self.read_mail()
        return message

    def read_log(self) -> str:
        log = self.home / "mail.log"
        return log.read_text() if log.exists() else ""


@contextmanager
def running_postfix(
    far: Far, certificate: Sequence[Path], ca_file: Path, key: SigningKey
) -> Iterator[PostfixServer]:
    """Run it until the block ends; OpenDKIM signs with `key` for its users."""
    assert os.geteuid() == 0, "run this as root"
    for program in ("postfix", "opendkim"):
        assert shutil.which(program, path="/usr/sbin:/usr/bin"), f"install {program}, as check_full.sh does"
    home = Path(tempfile.mkdtemp(prefix="postfix-", dir="/var/tmp"))
    server = PostfixServer(far, home)
    try:
        _write_files(server, certificate, ca_file, key)
        milter = ["/usr/sbin/opendkim", "-f", "-x", str(home / "opendkim.conf")]
        postfix = [*WITH_RESOLVER, str(home / "resolv.conf"), "/usr/sbin/postfix", "-c", str(home / "conf")]
        with (home / "out").open("wb") as out, subprocess.Popen(milter, stdout=out, stderr=out) as signer:
            try:
                wait_until(lambda: _is_open("127.0.0.1", server.milter), SOON_SECONDS)
                subprocess.run([*postfix, "start"], check=True, stdout=out, stderr=out, timeout=SOON_SECONDS)
                wait_until(lambda: _is_open(far.address, SMTP_PORT), SOON_SECONDS)
                yield server
            finally:
                subprocess.run([*postfix, "stop"], check=False, stdout=out, stderr=out, timeout=SOON_SECONDS)
                signer.terminate()
    finally:
        shutil.rmtree(home)


def _write_files(server: PostfixServer, certificate: Sequence[Path], ca_file: Path, key: SigningKey) -> None:
    far, home = server.far, server.home
    home.chmod(0o755)
    for name in ("conf", "queue", "data", "boxes"):
        (home / name).mkdir()
    shutil.chown(home / "data", "postfix")
    os.chown(home / "boxes", NOBODY, NOBODY)
    words = {"home": home, "milter": server.milter, "nobody": NOBODY, "signed": SIGNED, "unsigned": UNSIGNED}
    words |= {"selector": key.selector, "algorithm": key.algorithm, **vars(far)}
    is_ipv6 = ":" in far.address
    words["listen"] = f"[{far.address}]" if is_ipv6 else far.address
    words["bind"] = "smtp_bind_address6" if is_ipv6 else "smtp_bind_address"
    (home / "conf/main.cf").write_text(POSTFIX.format_map(words))
    (home / "conf/master.cf").write_text(SERVICES.format_map(words))
    (home / "opendkim.conf").write_text(OPENDKIM.format_map(words))
    (home / "resolv.conf").write_text(f"nameserver {far.name_server}\n")
    for file, name in zip((*certificate, ca_file), ("tls.crt", "tls.key", "authorities.pem"), strict=True):
        shutil.copy(file, home / name)
    pem = key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "dkim.key").write_bytes(pem)


def _is_open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True
