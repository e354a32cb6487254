"""Who has issued a certificate, as the node tells the control plane."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from nodelink.daemon.tls import CertificateError, read_issuer
from self_signed import make_certificate


def issue(file: Path, issuer: x509.Name) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Not the issuer")]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    file.write_bytes(leaf.public_bytes(Encoding.PEM))
    return file


def test_organisation_of_the_issuer_is_read(tmp_path: Path) -> None:
    names = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Let's Encrypt"),
        x509.NameAttribute(NameOID.COMMON_NAME, "E7"),
    ]

    assert read_issuer(issue(tmp_path / "tls.crt", x509.Name(names))) == "Let's Encrypt"


def test_issuer_without_an_organisation_has_no_name(tmp_path: Path) -> None:
    assert read_issuer(make_certificate(tmp_path, "localhost")[0]) == ""


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----"])
def test_file_without_a_certificate_has_no_issuer(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "tls.crt"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(CertificateError, match=r"tls\.crt holds no certificate"):
        read_issuer(file)
