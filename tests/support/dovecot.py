"""Dovecot 2.3 from Debian on loopback, as chat relays have it: Maildir, compressed by gzip.

Needs root, and Dovecot, which runs as nobody. Accounts are what `add_account` has made, as a relay does at
the first login.
"""

import os
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.clocks import wait_until
from support.peering_site import find_free_port

HOST = "127.0.0.1"
SOON_SECONDS = 30
NOBODY, NOGROUP = 65_534, 65_534
SENDER = "somebody@example.net"
SETTINGS = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap lmtp
listen = {host}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
mail_home = {home}/mail/%d/%u
mail_location = maildir:~
mail_plugins = zlib
plugin {{
  zlib_save = gz
}}
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%d/%u
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {host}
    port = {lmtp}
  }}
}}
"""


@dataclass
class Dovecot:
    """A running server; its files are gone with its block."""

    home: Path
    imap: int = field(default_factory=find_free_port)
    lmtp: int = field(default_factory=find_free_port)

    def find_domain(self, domain: str) -> Path:
        """Tell where the accounts of a domain are."""
        return self.home / "mail" / domain

    def add_account(self, address: str, sha512_crypt: str) -> None:
        """Make an account whose password is known by its hash."""
        directory = self.find_domain(address.partition("@")[2]) / address
        for path in (directory.parent.parent, directory.parent, directory):
            path.mkdir(exist_ok=True)
            os.chown(path, NOBODY, NOGROUP)
        (directory / "password").write_text("{SHA512-CRYPT}" + sha512_crypt)
        with (self.home / "users").open("a") as users:
            users.write(f"{address}:{{SHA512-CRYPT}}{sha512_crypt}::::::\n")

    def deliver(self, address: str, message: bytes) -> None:
        """Put a message into somebody's INBOX, as Postfix does."""
        with smtplib.LMTP(HOST, self.lmtp) as client:
            client.sendmail(SENDER, [address], message)

    def read_log(self) -> str:
        log = self.home / "log"
        return log.read_text() if log.exists() else ""


@contextmanager
def running_dovecot() -> Iterator[Dovecot]:
    """Run it until the block ends."""
    assert os.geteuid() == 0, "run this as root"
    for program in ("dovecot", "imap", "lmtp"):
        found = shutil.which(program, path="/usr/sbin:/usr/lib/dovecot")
        assert found, f"install Dovecot's {program}, as check_full.sh does"
    home = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/var/tmp"))
    server = Dovecot(home)
    words = {"home": home, "host": HOST, "uid": NOBODY, "gid": NOGROUP}
    words |= {"imap": server.imap, "lmtp": server.lmtp}
    try:
        (home / "users").touch()
        (home / "dovecot.conf").write_text(SETTINGS.format_map(words))
        for path in (home, *home.iterdir()):
            os.chown(path, NOBODY, NOGROUP)
        home.chmod(0o755)
        command = ["/usr/sbin/dovecot", "-F", "-c", str(home / "dovecot.conf")]
        with (
            (home / "out").open("wb") as out,
            subprocess.Popen(
                command, stdout=out, stderr=out, user=NOBODY, group=NOGROUP, extra_groups=[]
            ) as process,
        ):
            try:
                wait_until(lambda: "starting up" in server.read_log(), SOON_SECONDS)
                yield server
            except TimeoutError:
                raise RuntimeError((home / "out").read_text() + server.read_log()) from None
            finally:
                process.terminate()
    finally:
        shutil.rmtree(home)
