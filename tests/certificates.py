"""Keys and certificates for tests, right and wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def new_key(kind: str = "P-256") -> Key:
    """A private key: RSA, or of an elliptic curve."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("RSA-")))
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[kind])


def private_pem(key: Key, password: bytes = b"") -> str:
    """The private key as PEM."""
    shut = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, shut).decode()


def public_pem(key: Key) -> str:
    """Its public key as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate_pem(key: Key, name: str = "localhost", begin: float = -1, end: float = 3) -> str:
    """A certificate that signs itself and holds from *begin* to *end*, in days from now."""
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days=begin)).not_valid_after(now + timedelta(days=end))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def both(name: str = "localhost", begin: float = -1, end: float = 3) -> str:
    """Certificate and private key, as the router wants them."""
    key = new_key()
    return certificate_pem(key, name, begin, end) + private_pem(key)


def put(file: Path, text: str) -> Path:
    """Replace *file* in one rename, as those who renew certificates do."""
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(text)
    return unfinished.replace(file)
