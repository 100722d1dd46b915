"""Real clients and the FTP receiver, where files are taken at once: each file arrives whole, once."""

from __future__ import annotations

import ftplib
import io
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfdata.ftp_server import certificate
from tests.integration.mfdata.receiver_process import ReceiverProcess

USER, PASSWORD = "producer", "secret-of-the-producer"
#: Some are empty, some are larger than what the network holds.
CONTENTS = {"empty.txt": b"", "one.grib2": b"GRIB" * 1000, "two words.png": os.urandom(3_000_000)}
IGNORED = (".tmp", ".partial", ".part", ".filepart")


class Receiver(ReceiverProcess):
    """Its files are taken away at once, as the observer does."""

    kind = "ftp"
    #: The certificate, for clients that look at it.
    ca: Path

    def take(self, ended: threading.Event) -> None:
        """Move what comes in to the folder ``taken``, under names that tell copies apart, until *ended*."""
        self.taken.mkdir()
        while not ended.wait(0.001):
            for path in self.incoming.iterdir():
                if not path.name.startswith(".") and not path.name.endswith(IGNORED):
                    with suppress(FileNotFoundError):
                        path.rename(self.taken / f"{len(list(self.taken.iterdir()))}!{path.name}")

    @property
    def taken(self) -> Path:
        return self.home.tmp / "taken"

    def arrived(self) -> list[tuple[str, bytes]]:
        return sorted((path.name.partition("!")[2], path.read_bytes()) for path in self.taken.iterdir())


@contextmanager
def taking(folder: Path, **keys: object) -> Iterator[Receiver]:
    ended = threading.Event()
    with Receiver.running(folder, user=USER, password=PASSWORD, **keys) as receiver:
        thread = threading.Thread(target=receiver.take, args=(ended,))
        thread.start()
        try:
            yield receiver
        finally:
            ended.set()
            thread.join()


@pytest.fixture(params=["plain", "tls"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    pair = certificate(tmp_path / "certificate")
    keys = {"tls": "required", "certificate": pair[0], "key": pair[1]} if request.param == "tls" else {}
    with taking(tmp_path, **keys) as receiver:
        receiver.ca = pair[0]
        yield receiver


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def run(*words: object, **environment: str) -> str:
    """What a client says; it must succeed."""
    program = str(words[0])
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [str(word) for word in words],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check_arrived(receiver: Receiver, names: list[str] | None = None) -> None:
    expected = [(name, CONTENTS[name]) for name in sorted(names or CONTENTS)]
    wait_until(lambda: len(receiver.arrived()) >= len(expected), what="the files")
    assert [(name, len(content)) for name, content in receiver.arrived()] == [(n, len(c)) for n, c in expected]
    assert receiver.arrived() == expected
    assert receiver.files() == {}


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
    check_arrived(receiver)


def test_lftp_put(receiver: Receiver, sent: Path) -> None:
    lftp(receiver, *(f'put "{sent / name}"' for name in CONTENTS))
    check_arrived(receiver)


def test_lftp_put_under_a_temporary_name(receiver: Receiver, sent: Path) -> None:
    lftp(receiver, "set xfer:use-temp-file true", f"mput {sent}/*")
    check_arrived(receiver)


@pytest.mark.parametrize("options", ["", "--parallel=3", "--flat"])
def test_lftp_mirror(receiver: Receiver, sent: Path, options: str) -> None:
    if "flat" in options:
        (sent / "folder").mkdir()
        (sent / "one.grib2").rename(sent / "folder" / "one.grib2")
    lftp(receiver, f"mirror -R --no-perms {options} {sent} .")
    check_arrived(receiver)


def test_ncftpput(receiver: Receiver, sent: Path) -> None:
    if "AUTH TLS" in features(receiver):
        pytest.skip("ncftpput speaks no TLS")
    at = ["-u", USER, "-p", PASSWORD, "-P", receiver.port]
    run("ncftpput", "-V", *at, "127.0.0.1", "/", *(sent / name for name in CONTENTS))
    check_arrived(receiver)


def test_ncftpput_under_a_temporary_name(receiver: Receiver, sent: Path) -> None:
    if "AUTH TLS" in features(receiver):
        pytest.skip("ncftpput speaks no TLS")
    at = ["-u", USER, "-p", PASSWORD, "-P", receiver.port]
    run("ncftpput", "-V", "-S", ".tmp", *at, "127.0.0.1", "/", *(sent / name for name in CONTENTS))
    check_arrived(receiver)


def test_rclone_copy(receiver: Receiver, sent: Path) -> None:
    rclone(receiver, "copy", sent, ":ftp:")
    check_arrived(receiver)


def test_rclone_sends_a_file_of_the_same_size_anew(receiver: Receiver, sent: Path) -> None:
    for _ in range(2):
        rclone(receiver, "copyto", sent / "one.grib2", ":ftp:one.grib2")
    check_arrived(receiver, ["one.grib2"] * 2)


def test_as_winscp_does_it(receiver: Receiver) -> None:
    if "AUTH TLS" in features(receiver):
        pytest.skip("over TLS it is the same")
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
    check_arrived(receiver)
