"""The MTA-STS policy of a mail node: the node serves it, and the control plane has the DNS name its id.

For: both sides, so that the two agree without a word between them.
Not for: reading policies of others (mailnode.peering.mta_sts).

Source: RFC 8461 section 3.
"""

from hashlib import sha256

STS_HOST = "mta-sts"
STS_PATH = "/.well-known/mta-sts.txt"
MAX_AGE_SECONDS = 2_419_200
ID_CHARACTERS = 16


def choose_exchange(mail_domain: str, host: str) -> str:
    """Choose the name in a domain's MX record: the node's host, or the domain where that is an address."""
    is_address = ":" in host or host.replace(".", "").isdigit()
    return mail_domain if is_address else host


def write_sts_policy(exchange: str) -> str:
    """Write the policy: mail for the domain goes to this host, by TLS that holds, or not at all."""
    return f"version: STSv1\r\nmode: enforce\r\nmx: {exchange}\r\nmax_age: {MAX_AGE_SECONDS}\r\n"


def write_sts_id(exchange: str) -> str:
    """Write what the DNS says: it changes with the policy, and only with it."""
    return sha256(write_sts_policy(exchange).encode()).hexdigest()[:ID_CHARACTERS]
