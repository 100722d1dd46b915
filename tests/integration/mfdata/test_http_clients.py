"""Real clients and the HTTP receiver, where files are taken at once: each file arrives whole, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import certificate
from tests.integration.mfdata.receiver_clients import CONTENTS, PASSWORD, USER, TakingReceiver, run, written


class Receiver(TakingReceiver):
    kind = "http"
    scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"


@pytest.fixture(params=["http", "https"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    pair = certificate(tmp_path / "certificate")
    keys = {"certificate": pair[0], "key": pair[1]} if request.param == "https" else {}
    with Receiver.taking(tmp_path, **keys) as receiver:
        receiver.ca, receiver.scheme = pair[0], request.param
        yield receiver


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    return written(tmp_path / "sent")


def curl(receiver: Receiver, *words: object) -> None:
    run("curl", "-sS", "--fail", "-k", "--user", f"{USER}:{PASSWORD}", *words, receiver.url)


def rclone(receiver: Receiver, *words: object) -> str:
    secret = run("rclone", "obscure", PASSWORD).strip()
    at = [f"--webdav-url={receiver.url}", f"--webdav-user={USER}", f"--webdav-pass={secret}", "--no-check-certificate"]
    return run("rclone", "--config=/dev/null", "--retries=1", "--low-level-retries=1", "-v", *at, *words)


def is_known(receiver: Receiver, name: str) -> bool:
    words = ["curl", "-sk", "--user", f"{USER}:{PASSWORD}", "-X", "PROPFIND", "-w", "%{http_code}", "-o", "/dev/null"]
    return run(*words, f"{receiver.url}{name}") == "207"


def test_curl(receiver: Receiver, sent: Path) -> None:
    curl(receiver, "-T", "{" + ",".join(str(sent / name) for name in CONTENTS) + "}")
    receiver.check_arrived()


def test_curl_of_unknown_length(receiver: Receiver, sent: Path) -> None:
    curl(receiver, "-H", "Transfer-Encoding: chunked", "-T", sent / "two words.png")
    receiver.check_arrived(["two words.png"])


def test_curl_with_a_form(receiver: Receiver, sent: Path) -> None:
    curl(receiver, *(word for name in CONTENTS for word in ("-F", f'file=@"{sent / name}"')))
    receiver.check_arrived()


def test_rclone_copy(receiver: Receiver, sent: Path) -> None:
    rclone(receiver, "copy", sent, ":webdav:")
    receiver.check_arrived()


def test_rclone_sends_a_file_of_the_same_size_anew(receiver: Receiver, sent: Path) -> None:
    for _ in range(2):
        wait_until(lambda: not is_known(receiver, "one.grib2"), what="the end of the client")
        rclone(receiver, "copyto", sent / "one.grib2", ":webdav:one.grib2")
    receiver.check_arrived(["one.grib2"] * 2)
