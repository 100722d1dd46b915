"""httpsend: put or post every file to a server by HTTP or HTTPS."""

from __future__ import annotations

import base64
import os
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from mfdata import Done, Failed, File, Retry, Step
from mfdata.breaker import Breaker, BreakerKeys
from mfdata.outcome import Hold, Outcome
from mfdata.steps.ftp_session import tls_context
from mfdata.steps.http_session import FAULTS, Answer, HttpSession
from mfdata.steps.naming import PLACEHOLDERS, expanded, values_of
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


class HttpSend(Step):
    """Sends the file; it ends here once the server has said that it has it."""

    Custom = HttpSendKeys
    custom: HttpSendKeys

    _session: HttpSession | None = None
    _last_used = 0.0

    def open(self) -> None:
        """Look at the certificates once.

        Raises:
            ConfigError: ``ca_file`` cannot be used.
        """
        keys = self.custom
        place = urlsplit(keys.url)
        try:
            context = tls_context(keys.ca_file, verify=keys.verify_certificate) if place.scheme == "https" else None
        except OSError as error:
            where = f"{self.plugin} [custom] ca_file"
            raise ConfigError(f"{keys.ca_file} cannot be used: {error.strerror or error}", where=where) from error
        self._context = context
        self._place = place
        self._where = f"{place.scheme}://{place.netloc}"
        self._breaker = Breaker(self.home, f"{self.plugin}/{self.name}", self._where, keys)
        self._breaker.forget_others()

    def process(self, file: File) -> Outcome:
        wait = self._breaker.wait()
        if wait:
            return Hold(f"{self._where} is left in peace: it does not answer", wait)
        try:
            answer = self._send(file, self._target(file), self._headers(file))
        except FAULTS as error:
            self.close()
            return self._failed(fault_outcome(error, self._where))
        outcome = answer_outcome(answer, self._where, self._secrets())
        if answer.status in _NOT_NOW and isinstance(outcome, Retry):
            return self._failed(outcome)
        if self._breaker.succeeded():
            self.log.info("the server answers again", server=self._where)
        return outcome

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

    def _send(self, file: File, target: str, headers: dict[str, str]) -> Answer:
        session = self._session if self._session and self._session.is_fresh() else self._new_session()
        try:
            answer = session.send(self.custom.method, target, headers, file.path)
        except FAULTS:
            # A connection that was idle may have ended in this very moment: that is nobody's fault.
            if not session.is_used:
                raise
            answer = self._new_session().send(self.custom.method, target, headers, file.path)
        self._last_used = time.monotonic()
        return answer

    def _new_session(self) -> HttpSession:
        self.close()
        self._session = HttpSession(self._place, self._context, self.custom.timeout)
        return self._session

    def _failed(self, outcome: Retry | Failed) -> Outcome:
        """No file could have been sent."""
        wait = self._breaker.failed(outcome.reason)
        if not wait:
            return outcome
        self.log.error("the server is left in peace for a while", reason=outcome.reason, seconds=round(wait, 1))
        return Retry(outcome.reason, after=wait, counts=False)

    def _secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.custom.passwd, self.custom.token)))

    def idle(self) -> float | None:
        if self._session is None:
            return None
        left = self._last_used + self.custom.keep_alive - time.monotonic()
        if left > 0:
            return left
        self.close()
        return None

    def close(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()


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
        return Failed(_plain(f"{text}, to {answer.headers.get('Location', 'nowhere')}: put the new place into url", ()))
    text = _plain(f"{text}: {answer.text[:200]}" if answer.text.strip() else text, secrets)
    if status in _TEMPORARY:
        return Retry(text, after=_retry_after(answer))
    return Failed(text, permanent=status in _NEVER)


def fault_outcome(error: BaseException, where: str) -> Retry | Failed:
    """What a fault of the connection means for the file (pure)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed(_plain(f"{where}: its certificate is not accepted: {error.verify_message}", ()))
    said = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return Retry(_plain(f"{where}: {said}", ()))


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the server asks to wait; None when it gives none, or a date."""
    said = answer.headers.get("Retry-After", "").strip()
    return min(float(said), _LONGEST_RETRY_AFTER_S) if said.isascii() and said.isdigit() else None


def _plain(text: str, secrets: tuple[str, ...]) -> str:
    """*text* on one line, printable, and without what is secret if the server repeats it."""
    for secret in secrets:
        text = text.replace(secret, "********")
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


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
