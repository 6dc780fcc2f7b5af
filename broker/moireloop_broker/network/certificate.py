"""A certificate of the campaign's own for its private Redis server, which its connection file pins (adapter)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from moireloop_broker.extras import extras_for

YEARS: Final = timedelta(days=3653)

EARLIER: Final = timedelta(days=2)
"""How long before its creation the certificate is valid, so that hosts' clocks may differ."""


@dataclass(frozen=True)
class Certificate:
    """A certificate that signs itself, and its key, both as PEM."""

    certificate: str
    key: str


def new_certificate(campaign: str) -> Certificate:
    """A new key on the curve P-256 and its certificate. Whoever connects compares it whole, so that it names no host.

    Raises:
        MissingExtra: the package cryptography is not installed.
    """
    with extras_for("TLS of the private Redis server", ("broker",)):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"moireloop {campaign}"[:64])])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    pem = serialization.Encoding.PEM
    return Certificate(
        builder.sign(key, hashes.SHA256()).public_bytes(pem).decode(),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )
