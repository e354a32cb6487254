"""What a node writes into the journal: nothing that tells who wrote to whom, from where, or which message."""

import imaplib
import smtplib
import ssl
from contextlib import suppress
from pathlib import Path

from support.mailnode_process import HOST, running_node
from support.openpgp_messages import encrypted_mail

CLIENT = "127.0.0.77"
SENDER, RECIPIENT = (f"{name}@[{HOST}]" for name in ("zephyrine", "quixotica"))
PASSWORD = "correct horse battery"
MESSAGES = 30


def send_everything(port: int, tls: ssl.SSLContext) -> None:
    """Send messages that are taken, and some of each kind that is refused."""
    client = smtplib.SMTP_SSL(HOST, port, context=tls, source_address=(CLIENT, 0))
    client.login(SENDER, PASSWORD)
    for number in range(MESSAGES):
        client.sendmail(SENDER, RECIPIENT, mail_from(number))
    plain = f"From: <{SENDER}>\r\nMessage-ID: <wanderlust-plain@localhost>\r\n\r\nnot encrypted\r\n"
    for recipient, message in ((RECIPIENT, plain.encode()), (f"nobody-here@[{HOST}]", mail_from(99))):
        with suppress(smtplib.SMTPException):
            client.sendmail(SENDER, recipient, message)
    with suppress(smtplib.SMTPException):
        client.sendmail(RECIPIENT, RECIPIENT, mail_from(98))
    client.quit()


def mail_from(number: int) -> bytes:
    return bytes(encrypted_mail(sender=SENDER, message_id=f"wanderlust-{number}@localhost"))


def fail_to_log_in(port: int, tls: ssl.SSLContext) -> None:
    client = imaplib.IMAP4_SSL(HOST, port, ssl_context=tls)
    with suppress(imaplib.IMAP4.error):
        client.login(RECIPIENT, "another password")
    client.shutdown()


def test_thirty_messages_leave_no_name_no_address_and_no_message_id(tmp_path: Path) -> None:
    tls = ssl._create_unverified_context()  # noqa: S323, SLF001 - the certificate is self-signed
    log = tmp_path / "log"
    with running_node(tmp_path, log=log, MESSAGES_PER_MINUTE=0) as node:
        reader = imaplib.IMAP4_SSL(HOST, node.ports["IMAP_TLS_PORT"], ssl_context=tls)
        reader.login(RECIPIENT, PASSWORD)
        send_everything(node.ports["SMTP_TLS_PORT"], tls)
        fail_to_log_in(node.ports["IMAP_TLS_PORT"], tls)
        assert reader.select("INBOX")[1] == [str(MESSAGES).encode()]
        reader.logout()
        node.process.terminate()
        node.process.wait(10)
    text = log.read_text()

    assert "daemon stopping" in text
    for word in ("zephyrine", "quixotica", "nobody-here", "wanderlust", CLIENT, PASSWORD):
        assert word not in text
