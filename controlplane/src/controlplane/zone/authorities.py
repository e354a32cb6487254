"""Find who may certify a name (CAA), by who has certified it.

    an operator says it ▶ that            its certificate is of a known authority ▶ that, of another ▶ no word
    the node does not tell ▶ the usual one

For: service.py. A word that named another authority than the node's would forbid the next renewal.
Not for: nodes whose certificate is of their own making, which have no such record.

Source: RFC 8659; the names stand in what the authorities publish about CAA.
"""

from collections.abc import Mapping

USUAL_AUTHORITY = "letsencrypt.org"
NO_AUTHORITY = "none"
"""What an operator says who wants no such record."""

KNOWN_AUTHORITIES: Mapping[str, str] = {
    "Let's Encrypt": USUAL_AUTHORITY,
    "Buypass AS-983163327": "buypass.com",
    "DigiCert Inc": "digicert.com",
    "GlobalSign nv-sa": "globalsign.com",
    "Google Trust Services": "pki.goog",
    "Sectigo Limited": "sectigo.com",
    "SSL Corporation": "ssl.com",
    "ZeroSSL": "sectigo.com",
}
"""By the organisation that stands in certificates as their issuer."""


def find_authority(chosen: str | None, issuer: str | None) -> str | None:
    """Find who alone may certify a node's names; `None` for no word about it.

    Args:
        chosen: What an operator says; `None` if he leaves it to the node's certificate.
        issuer: The organisation in that certificate; `None` for a node that does not tell.
    """
    if chosen is not None:
        return None if chosen == NO_AUTHORITY else chosen
    return USUAL_AUTHORITY if issuer is None else KNOWN_AUTHORITIES.get(issuer)
