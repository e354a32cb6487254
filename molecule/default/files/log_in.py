"""Log in by IMAP on the host that is named, with the account that stands on standard input as JSON."""

import imaplib
import json
import ssl
import sys

TIMEOUT_SECONDS = 20


def main() -> None:
    """Log in and look into the inbox; fail with what the node says."""
    account = json.load(sys.stdin)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the lab's certificate is its own
    with imaplib.IMAP4_SSL(sys.argv[1], ssl_context=context, timeout=TIMEOUT_SECONDS) as client:
        client.login(account["email"], account["password"])
        status, _ = client.select("INBOX")
        if status != "OK":
            raise SystemExit(f"The inbox cannot be opened: {status}")


if __name__ == "__main__":
    main()
