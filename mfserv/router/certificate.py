"""Certificate: whether the router may take it, and how long it is still good for."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mfext.environment import Home
from mfext.errors import ConfigError
from mfext.fs.atomic import replace_file
from mfext.section import Config
from mfserv.config import Tls
from mfserv.router.names import CERTIFICATE, folder
from mfserv.router.pem import Validity, pem_blocks, validity

#: Days before its end from which status says that it ends soon.
SOON = 21
#: What OpenSSL says when a key is another one, or of another kind.
_ANOTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
_FORM = "%Y-%m-%d %H:%M UTC"


def refusal_of(file: Path, now: datetime | None = None) -> str:
    """Why the router cannot take the certificate in *file*; '' when it can."""
    now = now or datetime.now(UTC)
    try:
        text = file.read_text("ascii")
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"{file} is no PEM file"
    if reason := _unusable(file, text):
        return f"{file}: {reason}"
    holds = validity_in(text)
    if holds is None:
        return f"{file}: there is no certificate in it"
    if holds.begin > now:
        return f"{file}: the certificate holds from {holds.begin:{_FORM}} on, and now it is {now:{_FORM}}"
    if holds.end <= now:
        return f"{file}: the certificate ended on {holds.end:{_FORM}}, and now it is {now:{_FORM}}"
    return ""


def validity_in(text: str) -> Validity | None:
    """When the first certificate of a PEM file holds; None when there is none."""
    for label, content in pem_blocks(text):
        if label == "CERTIFICATE":
            try:
                return validity(content)
            except ValueError:
                return None
    return None


def _unusable(file: Path, text: str) -> str:
    """Why certificate and key are of no use, whatever the time is."""
    labels = [label for label, _ in pem_blocks(text)]
    if "CERTIFICATE" not in labels:
        return "there is no certificate in it"
    if not any(label.endswith("PRIVATE KEY") for label in labels):
        return "there is no private key in it"
    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, password=password)
    except (OSError, ValueError) as error:
        if asked:
            return "the private key is encrypted, and nobody is there to type its password"
        if getattr(error, "reason", "") in _ANOTHER_KEY:
            return "the private key is not that of the certificate"
        return f"certificate or key is broken: {error}"
    return ""


def checked_certificate(config: Config) -> Path:
    """The certificate that is configured.

    Raises:
        ConfigError: the router cannot take it.
    """
    file = config.section("tls", Tls).certificate
    if file and (reason := refusal_of(Path(file))):
        raise ConfigError(
            reason,
            where=f"{config.origin('tls', 'certificate')} [tls] certificate",
            expected="a PEM file with a certificate that holds, its chain and its private key without a password",
        )
    return Path(file)


def in_force(home: Home, file: Path) -> bool:
    """Whether the router works with what is in *file*."""
    try:
        return file.read_bytes() == (folder(home) / CERTIFICATE).read_bytes()
    except OSError:
        return False


def refresh(home: Home, file: Path) -> str:
    """Let the router read *file* the next time; why it cannot, and the former certificate stays; '' when it can.

    It reads a copy: a bad file that comes later does no harm, whatever dies meanwhile.
    """
    if in_force(home, file):
        return ""
    if reason := refusal_of(file):
        return reason
    try:
        _copy(file, folder(home))
    except OSError as error:
        return f"no copy of {file} can be made in {folder(home)}: {error.strerror}"
    return ""


def _copy(file: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    replace_file(place / CERTIFICATE, file.read_bytes(), mode=0o600)


def state(home: Home, configured: str, now: datetime | None = None) -> Mapping[str, Any]:
    """What status tells of the certificate in force: its file is our copy where what is *configured* is refused."""
    now = now or datetime.now(UTC)
    copy = folder(home) / CERTIFICATE
    is_it = in_force(home, Path(configured))
    refused = "" if is_it else refusal_of(Path(configured), now)
    told: dict[str, Any] = {"file": configured if is_it or not refused else str(copy)}
    told |= {"days_left": "unknown", "ends": "unknown", "state": "unknown"}
    try:
        holds = validity_in(copy.read_text("ascii"))
    except OSError:
        holds = None
    if holds:
        left = round((holds.end - now).total_seconds() / 86400, 1)
        word = "has ended" if left <= 0 else "ends soon" if left < SOON else "good"
        told |= {"days_left": left, "ends": format(holds.end, _FORM), "state": word}
    if refused:
        told["state"] = f"{told['state']}; the new one is refused: {refused}"
    return told


def problems(told: Mapping[str, Any]) -> list[str]:
    """What of the state that is *told* is not as it should be, one sentence each (pure)."""
    word, _, refused = str(told["state"]).partition("; the new one is refused: ")
    found = [f"the certificate in {told['file']} ended on {told['ends']}"] if word == "has ended" else []
    return [
        *found,
        *([f"the new certificate is refused, the router goes on with a former one: {refused}"] if refused else []),
    ]
