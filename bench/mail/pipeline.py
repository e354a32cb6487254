"""What the node is compared with: Postfix, a filter that costs nothing, OpenDKIM and Dovecot, from Debian 13.

    smtpd ─▶ (filter) ─▶ smtpd ─▶ OpenDKIM ─▶ cleanup ─▶ qmgr ─▶ lmtp ─▶ Dovecot LMTP ─▶ maildir ─▶ IMAP

For: an honest baseline. It is set up as chat relays are; where that is in doubt, in its favour: no filter, no
journal, no quota, no push, no compression, no fsync by LMTP, passwords known after the first login, and no
wait before a push (pipeline_files/prompt_push.c).
"""

import shutil
import socket
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mail.closed_loop import Target
from mail.tree import Tree
from mail.wire import BenchError
from mailnode.dkim.key_ring import write_key_record
from mailnode.dkim.signing import SigningKey
from self_signed import make_certificate

FILES = Path(__file__).parent / "pipeline_files"
HOST, DOMAIN, SELECTOR = "127.0.0.1", "chat.example.org", "bench"
SMTP_PORT, IMAP_PORT, FILTER_PORT = 28465, 28993, 28025
NETWORK = "127.0.0.0/8"
PLUGIN = "/usr/lib/dovecot/modules/lib20_prompt_push_plugin.so"
READY_SECONDS = 20
COMPILE = f"gcc -shared -fPIC -O2 -DHAVE_CONFIG_H -I/usr/include/dovecot -o {PLUGIN} /etc/bench/prompt_push.c"
USER = (
    "groupadd --gid 5000 vmail && useradd --uid 5000 --gid 5000 --home-dir /var/mail/users vmail"
    " && install -d -o vmail -g vmail /var/mail/users && install -d /var/mail/accounts"
)


def start_pipeline(
    tree: Tree, host: str = HOST, domain: str = DOMAIN, *, main: str = "", master: str = ""
) -> Target:
    """Install the settings, build the plugin and start everything. Raises: BenchError.

    Args:
        tree: Where.
        host: The address that it listens on.
        domain: That of its users, and the name in its certificate.
        main: What Postfix's main.cf has besides.
        master: What its master.cf has besides.
    """
    more = {"main.cf": main, "master.cf": master}
    for name in ("dovecot.conf", "main.cf", "master.cf", "opendkim.conf"):
        place = {"dovecot.conf": "/etc/dovecot", "opendkim.conf": "/etc"}.get(name, "/etc/postfix")
        text = (FILES / name).read_text().replace(HOST, host).replace(DOMAIN, domain)
        text = text.replace(NETWORK, f"{NETWORK},{host}")
        tree.write(f"{place}/{name}", text + more.get(name, ""))
    for name in ("prompt_push.c", "accounts.lua", "account_service.py"):
        tree.write(f"/etc/bench/{name}", (FILES / name).read_text())
    for file in make_certificate(tree.home, *dict.fromkeys((domain, host))):
        shutil.copy(file, tree.root / "etc/bench")
    key = rsa.generate_private_key(65537, 2048)
    tree.write("/etc/bench/dkim.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tree.home / "dkim.txt").write_text(write_key_record(SigningKey(SELECTOR, key)))
    tree.run("sh", "-c", COMPILE)
    tree.run("sh", "-c", USER)
    tree.start("python3", "/etc/bench/account_service.py", log="accounts.log")
    tree.start("opendkim", "-f", "-x", "/etc/opendkim.conf", log="opendkim.log")
    tree.start("dovecot", "-F", log="dovecot.log")
    tree.start("sh", "-c", "newaliases; exec postfix start-fg", log="postfix.log")
    wait_until_open(tree, host, SMTP_PORT, IMAP_PORT, FILTER_PORT)
    return Target(
        name="pipeline",
        host=host,
        domain=domain,
        smtp_port=SMTP_PORT,
        imap_port=IMAP_PORT,
        read_cpu_seconds=tree.group.read_cpu_seconds,
    )


def wait_until_open(tree: Tree, host: str, *ports: int) -> None:
    """Wait until something listens on each port of an address. Raises: BenchError, with what the logs say."""
    ends_at = time.monotonic() + READY_SECONDS
    address = socket.inet_aton(host)[::-1].hex().upper()
    wanted = {f"{address}:{port:04X}" for port in ports}
    while time.monotonic() < ends_at:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if wanted <= {words[1] for words in lines if words[3] == "0A"}:
            return
        time.sleep(0.1)
    logs = [*tree.home.glob("*.log"), *(tree.root / "var/log").glob("*.log")]
    texts = "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in logs)
    raise BenchError(f"not everything started on ports {ports}:\n{texts}")
