"""Become a user of a mail node: make an account, log in by IMAP, look into the inbox.

    get_in.py HOST HTTPS_PORT IMAP_PORT CA

It runs on a machine of the lab, because those know the lab's names. It fails with what the node says.
"""

import imaplib
import json
import ssl
import sys
import urllib.request

TIMEOUT_SECONDS = 20


def main() -> None:
    """Get in."""
    host, https_port, imap_port, authority = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    address = f"https://{host}:{https_port}/new"
    with urllib.request.urlopen(address, b"", TIMEOUT_SECONDS, context=context) as answer:
        account = json.load(answer)
    with imaplib.IMAP4_SSL(host, int(imap_port), ssl_context=context, timeout=TIMEOUT_SECONDS) as client:
        client.login(account["email"], account["password"])
        status, _ = client.select("INBOX")
        if status != "OK":
            raise SystemExit(f"The inbox cannot be opened: {status}")


if __name__ == "__main__":
    main()
