"""How a mail node ends that is told to, whatever its clients do meanwhile."""

import imaplib
import smtplib
import socket
import ssl
import time
from pathlib import Path

from support.mailnode_process import HOST, running_node
from support.openpgp_messages import encrypted_mail

ADDRESS = f"alice1234@[{HOST}]"
PASSWORD = "correct horse battery"
LIMIT_SECONDS = 5


def test_sigterm_ends_the_node_in_time_with_clients_that_hang_on(tmp_path: Path) -> None:
    tls = ssl._create_unverified_context()  # noqa: S323, SLF001 - the certificate is self-signed
    with running_node(tmp_path) as node:
        sender = smtplib.SMTP_SSL(HOST, node.ports["SMTP_TLS_PORT"], context=tls)
        sender.login(ADDRESS, PASSWORD)
        sender.mail(ADDRESS)
        sender.rcpt(ADDRESS)
        assert sender.docmd("DATA")[0] == 354
        sender.send(bytes(encrypted_mail()))
        reader = imaplib.IMAP4_SSL(HOST, node.ports["IMAP_TLS_PORT"], ssl_context=tls)
        reader.login(ADDRESS, PASSWORD)
        visitor = tls.wrap_socket(socket.create_connection((HOST, node.ports["HTTPS_PORT"])))
        visitor.sendall(b"GET / HTTP/1.1\r\n")
        silent = socket.create_connection((HOST, node.ports["SMTP_TLS_PORT"]))

        began_at = time.monotonic()
        node.process.terminate()
        assert sender.getreply()[0] == 421
        assert reader.readline().startswith(b"* BYE ")
        assert node.process.wait(2 * LIMIT_SECONDS) == 0

        assert time.monotonic() - began_at < LIMIT_SECONDS
        for client in (sender.sock, reader.sock, visitor, silent):
            assert client is not None
            client.close()
