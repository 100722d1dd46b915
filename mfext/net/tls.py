"""TLS: how a server of ours proves who it is, and how we know who a server is (TLS 1.2 or newer)."""

from __future__ import annotations

import ssl


def server_context(certificate: str, key: str = "") -> ssl.SSLContext:
    """The context of a server with the *certificate* (and those above it) and its *key*, PEM files; '' = in one file.

    Raises:
        OSError: they cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Early 3.11 takes a connection that was cut for one that was ended.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    # A key that is encrypted is an error, not a question on the terminal.
    context.load_cert_chain(certificate, key or None, password=str)
    return context


def client_context(ca_file: str = "", *, verify: bool = True) -> ssl.SSLContext:
    """The context of a client, which trusts the certificates of *ca_file*, a PEM file; '' = those of the system.

    Without *verify* anybody may be at the other end.

    Raises:
        OSError: *ca_file* cannot be used.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
