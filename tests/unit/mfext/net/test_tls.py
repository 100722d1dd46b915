from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from mfext.net.tls import client_context, server_context
from tests.certificates import certificate_pem, new_key, private_pem


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost, with its key, in one file."""
    key = new_key()
    path = tmp_path / "certificate.pem"
    path.write_text(certificate_pem(key) + private_pem(key))
    return path


def spoken(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> bytes:
    """What a client reads of a server that says hello."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(b"hello")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            return connection.recv(100)
    finally:
        ours.close()
        thread.join()


def test_a_client_that_trusts_the_certificate_reaches_the_server(certificate: Path) -> None:
    assert spoken(server_context(str(certificate)), client_context(str(certificate))) == b"hello"


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        spoken(server_context(str(certificate)), client_context())


def test_without_verification_anybody_may_be_there(certificate: Path) -> None:
    assert spoken(server_context(str(certificate)), client_context(verify=False), "elsewhere") == b"hello"


def test_tls_1_1_is_not_spoken(certificate: Path) -> None:
    contexts = server_context(str(certificate)), client_context(str(certificate))
    assert [context.minimum_version for context in contexts] == [ssl.TLSVersion.TLSv1_2] * 2


def test_an_encrypted_key_is_an_error_and_no_question(tmp_path: Path) -> None:
    key = new_key()
    path = tmp_path / "certificate.pem"
    path.write_text(certificate_pem(key) + private_pem(key, b"secret"))
    with pytest.raises(ssl.SSLError):
        server_context(str(path))


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        server_context(str(tmp_path / "no.pem"))
    with pytest.raises(OSError, match="No such file"):
        client_context(str(tmp_path / "no.pem"))
