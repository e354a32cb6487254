"""Mail as Python's own clients speak it, inside the lab's network."""

import email
import email.policy
import imaplib
import re
import smtplib
import ssl
from collections import Counter

from support.deployed_fleet import ADDRESSES
from support.lab import MAIL2_NAME, MAIL_NAME

TIMEOUT_SECONDS = 20
HOSTS = {MAIL_NAME: ADDRESSES["mail1"], MAIL2_NAME: ADDRESSES["mail2"]}


def trusting_context() -> ssl.SSLContext:
    """Build a context that takes the lab's certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def open_imap(address: str, password: str) -> imaplib.IMAP4_SSL:
    """Log in by IMAP."""
    client = imaplib.IMAP4_SSL(
        _host_of(address), 993, ssl_context=trusting_context(), timeout=TIMEOUT_SECONDS
    )
    try:
        client.login(address, password)
    except (OSError, imaplib.IMAP4.error):
        client.shutdown()
        raise
    return client


def open_smtp(address: str, password: str) -> smtplib.SMTP_SSL:
    """Log in by SMTP."""
    client = smtplib.SMTP_SSL(_host_of(address), 465, context=trusting_context(), timeout=TIMEOUT_SECONDS)
    try:
        client.login(address, password)
    except (OSError, smtplib.SMTPException):
        client.close()
        raise
    return client


def count_message_ids(address: str, password: str) -> Counter[str]:
    """Count every Message-ID in an account's INBOX."""
    client = open_imap(address, password)
    client.select("INBOX")
    _, found = client.uid("fetch", "1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    client.logout()
    headers = b"".join(part[1] for part in found if isinstance(part, tuple))
    return Counter(re.findall(r"(?i)message-id:\s*(<[^>]+>)", headers.decode()))


def plain_message(sender: str, recipient: str) -> bytes:
    """Write a message that is not encrypted."""
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, recipient, "hello"
    message.set_content("not encrypted")
    return message.as_bytes()


def _host_of(address: str) -> str:
    """Tell which machine has an account; a thread in a namespace cannot ask its name server."""
    return HOSTS[address.rpartition("@")[2]]
