"""Real clients and the FTP receiver, where files are taken at once: each file arrives whole, once."""

from __future__ import annotations

import ftplib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import certificate
from tests.integration.mfdata.receiver_clients import CONTENTS, PASSWORD, USER, TakingReceiver, run, written


class Receiver(TakingReceiver):
    kind = "ftp"


@pytest.fixture(params=["plain", "tls"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    pair = certificate(tmp_path / "certificate")
    keys = {"tls": "required", "certificate": pair[0], "key": pair[1]} if request.param == "tls" else {}
    with Receiver.taking(tmp_path, **keys) as receiver:
        receiver.ca = pair[0]
        yield receiver


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    return written(tmp_path / "sent")


def lftp(receiver: Receiver, *acts: str) -> str:
    settings = [
        "set net:max-retries 1",
        "set net:timeout 30",
        f"set ssl:ca-file {receiver.ca}",
        "set ftp:ssl-protect-data true",
        "set ssl:check-hostname false",
        "set cmd:fail-exit true",
    ]
    login = f"open -u {USER},{PASSWORD} ftp://127.0.0.1:{receiver.port}"
    return run("lftp", "--norc", "-c", "; ".join([*settings, login, *acts]))


def rclone(receiver: Receiver, *words: object) -> str:
    secret = run("rclone", "obscure", PASSWORD).strip()
    at = ["--ftp-host=127.0.0.1", f"--ftp-port={receiver.port}", f"--ftp-user={USER}", f"--ftp-pass={secret}"]
    tls = ["--ftp-explicit-tls", "--ftp-no-check-certificate"] if "AUTH TLS" in features(receiver) else []
    return run("rclone", "--config=/dev/null", "--retries=1", "--low-level-retries=1", "-v", *at, *tls, *words)


def features(receiver: Receiver) -> str:
    with ftplib.FTP(timeout=60) as ftp:
        ftp.connect("127.0.0.1", receiver.port)
        return ftp.sendcmd("FEAT")


def test_curl(receiver: Receiver, sent: Path) -> None:
    files = "{" + ",".join(str(sent / name) for name in CONTENTS) + "}"
    url = f"ftp://127.0.0.1:{receiver.port}/"
    run("curl", "-sS", "--ssl", "-k", "--user", f"{USER}:{PASSWORD}", "-T", files, url)
    receiver.check_arrived()


def test_lftp_put(receiver: Receiver, sent: Path) -> None:
    lftp(receiver, *(f'put "{sent / name}"' for name in CONTENTS))
    receiver.check_arrived()


def test_lftp_put_under_a_temporary_name(receiver: Receiver, sent: Path) -> None:
    lftp(receiver, "set xfer:use-temp-file true", f"mput {sent}/*")
    receiver.check_arrived()


@pytest.mark.parametrize("options", ["", "--parallel=3", "--flat"])
def test_lftp_mirror(receiver: Receiver, sent: Path, options: str) -> None:
    if "flat" in options:
        (sent / "folder").mkdir()
        (sent / "one.grib2").rename(sent / "folder" / "one.grib2")
    lftp(receiver, f"mirror -R --no-perms {options} {sent} .")
    receiver.check_arrived()


@pytest.mark.parametrize("receiver", ["plain"], indirect=True)
def test_ncftpput(receiver: Receiver, sent: Path) -> None:
    at = ["-u", USER, "-p", PASSWORD, "-P", receiver.port]
    run("ncftpput", "-V", *at, "127.0.0.1", "/", *(sent / name for name in CONTENTS))
    receiver.check_arrived()


@pytest.mark.parametrize("receiver", ["plain"], indirect=True)
def test_ncftpput_under_a_temporary_name(receiver: Receiver, sent: Path) -> None:
    at = ["-u", USER, "-p", PASSWORD, "-P", receiver.port]
    run("ncftpput", "-V", "-S", ".tmp", *at, "127.0.0.1", "/", *(sent / name for name in CONTENTS))
    receiver.check_arrived()


def test_rclone_copy(receiver: Receiver, sent: Path) -> None:
    rclone(receiver, "copy", sent, ":ftp:")
    receiver.check_arrived()


def test_rclone_sends_a_file_of_the_same_size_anew(receiver: Receiver, sent: Path) -> None:
    for _ in range(2):
        rclone(receiver, "copyto", sent / "one.grib2", ":ftp:one.grib2")
    receiver.check_arrived(["one.grib2"] * 2)


@pytest.mark.parametrize("receiver", ["plain"], indirect=True)
def test_as_winscp_does_it(receiver: Receiver) -> None:
    with ftplib.FTP(timeout=60, encoding="utf-8") as ftp:
        ftp.connect("127.0.0.1", receiver.port)
        ftp.login(USER, PASSWORD)
        for command in ("SYST", "FEAT", "OPTS UTF8 ON", "PWD", "CWD /", "TYPE A N", "TYPE I"):
            assert ftp.sendcmd(command)[0] == "2"
        ftp.retrlines("MLSD", lambda _: None)
        for name, content in CONTENTS.items():
            ftp.storbinary(f"STOR {name}", io.BytesIO(content))
            wait_until(lambda n=name: n in dict(receiver.arrived()), what="the file")  # type: ignore[misc]
            assert ftp.sendcmd(f"MFMT 20260102030405 {name}").startswith("213 Modify=20260102030405; /")
            assert ftp.sendcmd(f"MDTM {name}") == "213 20260102030405"
            assert ftp.size(name) == len(content)
            facts = ftp.sendcmd(f"MLST {name}").splitlines()[1]
            assert {f"size={len(content)}", "modify=20260102030405"} <= set(facts.strip().split(";"))
            assert facts.endswith(f" /{name}")
            lines: list[str] = []
            ftp.retrlines(f"LIST {name}", lines.append)
            assert [line.split(maxsplit=8)[8] for line in lines] == [name]
        assert {name: int(found["size"]) for name, found in ftp.mlsd()} == {n: len(c) for n, c in CONTENTS.items()}
        assert ftp.nlst() == []
    receiver.check_arrived()
