"""Places of backup addresses, as the finder would find them."""

from mailnode.backup_addresses.offer import BackupOffer
from mailnode.backup_addresses.place import BackupPlace, find_place
from mailnode.federation.siblings import Sibling
from nodelink.contract.keys import PrivateKey

KEY = PrivateKey.generate().public
OFFER = BackupOffer(accounts_per_weight=0.1, imap_tls_port=993, smtp_tls_port=465, makes_unknown_logins=True)
PIN = "0" * 64


def make_sibling(name: str, *, tls_pin: str | None = None) -> Sibling:
    return Sibling(name, f"{name}.example.org", f"{name}.example.org", 443, KEY, tls_pin)


def make_place(name: str, *, tls_pin: str | None = None) -> BackupPlace:
    place = find_place(make_sibling(name, tls_pin=tls_pin), OFFER)
    assert place is not None
    return place
