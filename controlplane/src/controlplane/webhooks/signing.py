"""Sign messages so that their receiver knows whose they are, and refuses old ones.

    webhook-id         the same for every attempt: whoever has it already has had the message
    webhook-timestamp  seconds since 1970, of this attempt
    webhook-signature  v1,BASE64 of HMAC-SHA256 over id.timestamp.body

For: pure functions. Source: Standard Webhooks, https://www.standardwebhooks.com.
"""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from secrets import token_bytes

PREFIX = "whsec_"
SECRET_BYTES = 32


def invent_secret() -> str:
    """Make a secret, as receivers' libraries want it."""
    return PREFIX + b64encode(token_bytes(SECRET_BYTES)).decode()


def write_headers(secret: str, message_id: str, now_seconds: int, body: bytes) -> dict[str, str]:
    """Write the headers of one attempt."""
    key = b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((message_id.encode(), str(now_seconds).encode(), body))
    signature = b64encode(hmac.digest(key, signed, sha256)).decode()
    return {
        "content-type": "application/json",
        "user-agent": "madfleet-webhooks",
        "webhook-id": message_id,
        "webhook-timestamp": str(now_seconds),
        "webhook-signature": f"v1,{signature}",
    }
