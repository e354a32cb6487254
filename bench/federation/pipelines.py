"""What ours are compared with: two times Postfix, OpenDKIM and Dovecot, for senders and for recipients.

    smtpd ─▶ OpenDKIM signs ─▶ qmgr ─▶ smtp ═TLS═▶ smtpd ─▶ OpenDKIM verifies ─▶ qmgr ─▶ lmtp ─▶ Dovecot

For: an honest baseline: each as in bench/mail, and connections between the two are kept and used again.
"""

from federation.places import Place, add_address, write_hosts
from mail.closed_loop import Target
from mail.pipeline import SELECTOR, start_pipeline, wait_until_open
from mail.tree import Tree

HOME, FAR = Place("home", "198.51.100.3"), Place("far", "198.51.100.4")
SMTP_PORT = 25
SENDING = """
transport_maps = inline:{{ {{ {far} = smtp:[{host}]:{port} }} }}
smtp_bind_address = {own}
smtp_tls_security_level = secure
smtp_tls_CAfile = /etc/bench/peer.crt
smtp_tls_secure_cert_match = {far}
smtp_tls_connection_reuse = yes
smtp_tls_session_cache_database = btree:${{data_directory}}/smtp_scache
"""
RELAYING = """
tlsproxy  unix - - n - 0 tlsproxy
"""
TAKING = """
{host}:{port} inet n - n - 1000 smtpd
    -o smtpd_tls_security_level=encrypt
    -o smtpd_milters=unix:/run/bench-verifier
    -o mynetworks=
"""
VERIFIER = """
Mode v
Socket local:/run/bench-verifier
UMask 000
UserID root
InternalHosts 192.0.2.1
TestPublicKeys /etc/bench/public-keys
AlwaysAddARHeader yes
On-NoSignature reject
On-BadSignature reject
On-KeyNotFound reject
Syslog no
"""


def start_pipelines(home: Tree, far: Tree) -> Target:
    """Start both; return the way between them. Raises: BenchError."""
    for place, tree in ((HOME, home), (FAR, far)):
        add_address(place)
        tree.write("/etc/hosts", f"127.0.0.1 localhost\n{write_hosts(HOME, FAR)}")
    taking = start_pipeline(far, FAR.host, FAR.domain, master=TAKING.format(host=FAR.host, port=SMTP_PORT))
    words = {"far": FAR.domain, "host": FAR.host, "port": SMTP_PORT, "own": HOME.host}
    home.write("/etc/bench/peer.crt", (far.home / "tls.crt").read_bytes())
    sending = start_pipeline(home, HOME.host, HOME.domain, main=SENDING.format(**words), master=RELAYING)
    key = (home.home / "dkim.txt").read_text()
    far.write("/etc/bench/public-keys", f"{SELECTOR}._domainkey.{HOME.domain} {key}\n")
    far.write("/etc/verifier.conf", VERIFIER)
    far.start("opendkim", "-f", "-x", "/etc/verifier.conf", log="verifier.log")
    wait_until_open(far, FAR.host, SMTP_PORT)
    return sending.to(FAR.host, FAR.domain, taking.read_cpu_seconds)
