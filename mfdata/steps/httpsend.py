"""httpsend: put or post every file to a server by HTTP or HTTPS."""

from __future__ import annotations

import base64
import os
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from mfdata import Done, Failed, File, Retry
from mfdata.outcome import Outcome
from mfdata.steps.http_session import FAULTS, Answer, HttpSession
from mfdata.steps.naming import PLACEHOLDERS, expanded, values_of
from mfdata.steps.sender import MachineFault, Sender, plain
from mfext.circuit_breaker import BreakerKeys
from mfext.errors import ConfigError
from mfext.option import option

#: The server, or who stands before it, cannot at present: no file could be sent.
_NOT_NOW = {429, 502, 503, 504}
#: It may work another time.
_TEMPORARY = {408, 409, 423, 425, 500, 507, 508, *_NOT_NOW}
#: This file, such as it is, will never be taken.
_NEVER = {400, 406, 411, 413, 414, 415, 422, 431}
#: The longest wait that a server may ask for.
_LONGEST_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, repr=False)
class HttpSendKeys(BreakerKeys):
    """Where files are sent, and as whom."""

    url: str = option(
        help="Where each file goes: http or https; may hold {ORIGINAL_BASENAME}, {ORIGINAL_DIRNAME}, {ORIGINAL_UID}, "
        "{RANDOM_ID}, {STEP_COUNTER}, put in quoted, and the date and time as %Y %m %d %H %M %S (a % itself is %%).",
        pattern=r"[!-~]+",
        form="a URL in ASCII, without blanks",
        example="https://data.example.org/in/{ORIGINAL_BASENAME}",
    )
    method: str = option("PUT", choices=("PUT", "POST"), help="The method of the request.")
    content_type: str = option(
        "application/octet-stream", pattern=r"[^\r\n]+", help="What the request says that the file is."
    )
    user: str = option("", help="The user there (basic authentication); empty = none.")
    passwd: str = option("", secret=True, help="The password of the user.")
    token: str = option("", secret=True, pattern=r"[^\s]*", help="A bearer token, instead of user and password.")
    verify_certificate: bool = option(True, help="Speak only to a machine whose certificate is valid for its name.")
    ca_file: str = option("", help="The certificates that are trusted, in PEM form; empty = the system's.")
    timeout: float = option(30.0, unit="s", minimum=0.1, help="Time to wait for the server, each time.")
    keep_alive: float = option(10.0, unit="s", minimum=0, help="Time for which an idle connection is kept.")

    def __post_init__(self) -> None:
        place = urlsplit(expanded(self.url, dict.fromkeys(PLACEHOLDERS, "x"), time.gmtime(0)))
        _check_url(place)
        if urlsplit(self.url).netloc != place.netloc:
            raise ConfigError("the server may not depend on the file", where="[custom] url")
        if self.token and self.user:
            raise ConfigError("both a token and a user are said", where="[custom] token", expected="one of them")


class HttpSend(Sender[HttpSession]):
    """Sends the file; it ends here once the server has said that it has it."""

    Custom = HttpSendKeys
    custom: HttpSendKeys
    faults = FAULTS

    def open(self) -> None:
        """Look at the certificates once.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        keys = self.custom
        self._place = urlsplit(keys.url)
        is_protected = self._place.scheme == "https"
        self._context = self.context(keys.ca_file, verify=keys.verify_certificate) if is_protected else None
        self.begin_with(f"{self._place.scheme}://{self._place.netloc}", keys, keys.keep_alive)

    def connect(self) -> HttpSession:
        return HttpSession(self._place, self._context, self.custom.timeout)

    def send(self, file: File) -> Outcome:
        method, target, headers = self.custom.method, self._target(file), self._headers(file)
        # What stands behind the ? may be a secret.
        what = f"{method} {target.partition('?')[0]}"
        try:
            answer = self.on_connection(lambda session: session.send(method, target, headers, file.path))
        except FAULTS as error:
            self.leave()
            raise MachineFault(fault_outcome(error, f"{self.machine}: {what}")) from error
        outcome = answer_outcome(answer, f"{self.machine}: {what}", self._secrets())
        if answer.status in _NOT_NOW and isinstance(outcome, Retry):
            raise MachineFault(outcome)
        return Done(note=f"sent to {self.machine}: {what}") if isinstance(outcome, Done) else outcome

    def _target(self, file: File) -> str:
        values = {name: quote(os.fsencode(value), safe="") for name, value in self._values(file).items()}
        place = urlsplit(expanded(self.custom.url, values, time.localtime()))
        return (place.path or "/") + (f"?{place.query}" if place.query else "")

    def _values(self, file: File) -> dict[str, str]:
        return dict(values_of(file, f"{self.plugin}/{self.name}"))

    def _headers(self, file: File) -> dict[str, str]:
        keys = self.custom
        # The same at each try, so that a server can tell a file that it has already.
        headers = {"Content-Type": keys.content_type, "Idempotency-Key": file.uid, "User-Agent": "metwork"}
        if keys.token:
            headers["Authorization"] = f"Bearer {keys.token}"
        elif keys.user:
            words = base64.b64encode(f"{keys.user}:{keys.passwd}".encode()).decode("ascii")
            headers["Authorization"] = f"Basic {words}"
        return headers

    def _secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.custom.passwd, self.custom.token)))


def answer_outcome(answer: Answer, where: str, secrets: tuple[str, ...] = ()) -> Done | Retry | Failed:
    """What the server's answer means for the file (pure).

    What may pass is another try. What a person must mend, there or here (401, 404, a redirection), may be mended before
    the last try: it has failed, but not for good. A file that the server does not take such as it is will never be.
    """
    status = answer.status
    if 200 <= status < 300:
        return Done()
    text = f"{where}: {status} {answer.reason}"
    if 300 <= status < 400:
        return Failed(plain(f"{text}, to {answer.headers.get('Location', 'nowhere')}: put the new place into url"))
    text = plain(f"{text}: {answer.text[:200]}" if answer.text.strip() else text, *secrets)
    if status in _TEMPORARY:
        return Retry(text, after=_retry_after(answer))
    return Failed(text, permanent=status in _NEVER)


def fault_outcome(error: BaseException, where: str) -> Retry | Failed:
    """What a fault of the connection means for the file (pure)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed(plain(f"{where}: its certificate is not accepted: {error.verify_message}"))
    said = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return Retry(plain(f"{where}: {said}"))


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the server asks to wait; None when it gives none, or a date."""
    said = answer.headers.get("Retry-After", "").strip()
    return min(float(said), _LONGEST_RETRY_AFTER_S) if said.isascii() and said.isdigit() else None


def _check_url(place: SplitResult) -> None:
    where, expected = "[custom] url", "for example https://data.example.org/in/{ORIGINAL_BASENAME}"
    try:
        is_port = place.port is None or place.port > 0
    except ValueError:
        is_port = False
    if place.scheme not in ("http", "https") or not place.hostname or not is_port:
        raise ConfigError("this is not the URL of a server", where=where, expected=expected)
    if place.username is not None or place.password is not None:
        raise ConfigError("it holds a user or password", where=where, mend="Say them in user and passwd.")
    if place.fragment:
        raise ConfigError("it holds a #, which is never sent", where=where, expected=expected)


if __name__ == "__main__":
    HttpSend.main()
