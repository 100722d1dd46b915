"""Gate: who sends an HTTP request, and whether he may send another file now."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import time
from concurrent.futures import ThreadPoolExecutor

from mfdata.receivers.http.refusal import Refusal, later
from mfext.net.users import LOOKS, User, Users

#: Seconds after which a wrong password is answered.
_WRONG_PASSWORD_S = 1.0
_ASK = {"WWW-Authenticate": 'Basic realm="MetWork", charset="UTF-8", Bearer realm="MetWork"'}


class Gate:
    """The same for all requests of a receiver."""

    def __init__(self, users: Users, per_minute: int) -> None:
        """*per_minute*: files that each user may send; 0 = any number."""
        self._users = users
        self._per_minute = per_minute
        self._left: dict[str, tuple[float, float]] = {}
        # Of their own: who guesses passwords holds up nobody whose password is known.
        self._threads = ThreadPoolExecutor(LOOKS, "password")

    async def user_of(self, authorization: str) -> User:
        """Whom the header *authorization* names, and proves.

        Raises:
            Refusal: nobody.
        """
        scheme, _, rest = authorization.partition(" ")
        self._users.refresh_or_keep()
        if scheme.lower() == "bearer":
            user = self._users.with_token(rest.strip())
        elif scheme.lower() == "basic":
            user = await self._with_password(rest.strip())
        else:
            raise Refusal(401, "say who you are: Authorization, Basic or Bearer", _ASK)
        if user is None:
            await asyncio.sleep(_WRONG_PASSWORD_S)
            raise Refusal(401, "user and password, or token, are not known", _ASK)
        return user

    def admit(self, user: User, now: float | None = None) -> None:
        """Count a file of *user*.

        Raises:
            Refusal: he has sent enough for this minute.
        """
        if not self._per_minute:
            return
        now = time.monotonic() if now is None else now
        left, since = self._left.get(user.name, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        self._left[user.name] = (left if left < 1 else left - 1, now)
        if left < 1:
            seconds = math.ceil(round((1 - left) * 60 / self._per_minute, 3))
            raise later(f"more than {self._per_minute} files in a minute", seconds, status=429)

    def close(self) -> None:
        """No more looks at passwords."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _with_password(self, text: str) -> User | None:
        try:
            name, colon, password = (
                base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape").partition(":")
            )
        except binascii.Error:
            return None
        if not colon:
            return None
        user = self._users.recalled(name, password)
        if user is not None:
            return user
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._users.known, name, password)
