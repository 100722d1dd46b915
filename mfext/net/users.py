"""Users: who may log in to a receiver, by a file of names and hashed passwords.

One line a user: ``NAME:HASH`` or ``NAME:HASH:DIRECTORY``; ``#`` starts a comment line.
``mfdata.users NAME [DIRECTORY]`` (``commands/users.py``) asks for a password, or makes a token, and prints the line.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mfext.errors import ConfigError, MetworkError, UsageError, raise_all
from mfext.log import get_logger

log = get_logger(__name__)

# scrypt (RFC 7914): 16 MiB and some 50 ms a guess.
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 1
_FORM = "scrypt$N$R$P$SALT$KEY"
#: Passwords that are looked at at one time, in threads: half of the machine is left to transfers.
LOOKS = max(1, (os.cpu_count() or 1) // 2)
#: A token is too long to be guessed, so that a quick hash of it does.
_QUICK = "sha256$"


@dataclass(frozen=True, repr=False)
class User:
    """Somebody who may log in."""

    name: str
    #: What ``hashed`` gave of the password, or the password itself.
    secret: str
    #: Where his files go; '' = where the receiver's go.
    directory: str = ""


class Users:
    """Those who may log in, as they stand in the file now."""

    def __init__(self, single: Iterable[User], file: Path | None) -> None:
        """Args: *single* users besides those in *file*.

        Raises:
            ConfigError: *file* must be mended.
        """
        # A password that is written down plainly takes as long to compare as the others.
        self._single = {user.name: replace(user, secret=_as_hash(user.secret)) for user in single}
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._users: Mapping[str, User] = self._single
        #: What was found right, without the password: many producers log in anew for each file.
        self._seen: dict[str, bytes] = {}
        self._pepper = os.urandom(16)
        self._nobody = User("", hashed(os.urandom(8).hex()))
        self.refresh()

    def refresh(self) -> None:
        """Read the file again if it has changed.

        Raises:
            ConfigError: it must be mended; those who were known stay known.
        """
        if self._file is None:
            return
        try:
            status = self._file.stat()
        except OSError as error:
            raise ConfigError(f"it cannot be read: {error.strerror}", where=str(self._file)) from error
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._users = {**read_users(self._file), **self._single}
            self._stamp = stamp

    def refresh_or_keep(self) -> None:
        """Read the file again if it has changed; if it must be mended, that is logged and all stays as it was."""
        try:
            self.refresh()
        except ConfigError as error:
            log.error("the changed file of users is not used", reason=error.message)

    def directories(self) -> set[str]:
        """Where their files go."""
        return {user.directory for user in self._users.values()}

    def known(self, name: str, password: str) -> User | None:
        """The user *name* if *password* is his; None takes as long whether there is such a user or not."""
        user = self._users.get(name, self._nobody)
        if self.recalled(name, password):
            return user
        if not is_password(password, user.secret) or user is self._nobody:
            return None
        self._seen[name] = self._mark(user, password)
        return user

    def recalled(self, name: str, password: str) -> User | None:
        """The user *name* if *password* was found right before; this takes no time."""
        user = self._users.get(name, self._nobody)
        return user if hmac.compare_digest(self._seen.get(name, b""), self._mark(user, password)) else None

    def with_token(self, token: str) -> User | None:
        """The user whose *token* this is."""
        secret = hashed_token(token)
        return next((user for user in self._users.values() if _is_same(user.secret, secret)), None)

    def _mark(self, user: User, password: str) -> bytes:
        return hmac.digest(self._pepper, f"{user.secret}\n{password}".encode("utf-8", "surrogateescape"), "sha256")


def read_users(path: Path) -> dict[str, User]:
    """The users in the file at *path*.

    Raises:
        ConfigError: others may read it, or a line is not as it must be.
    """
    if path.stat().st_mode & 0o077:
        raise ConfigError("others may read the passwords", where=str(path), mend=f"Run: chmod 600 {path}")
    users: dict[str, User] = {}
    errors: list[MetworkError] = []
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        secret, _, directory = rest.partition(":")
        fault = _fault(name, secret, users)
        if fault:
            errors.append(ConfigError(fault, where=f"{path}:{number}", expected=f"NAME:{_FORM}[:DIRECTORY]"))
        users[name] = User(name, secret, directory)
    raise_all(errors)
    return users


def _fault(name: str, secret: str, users: Mapping[str, User]) -> str:
    if not name or name != name.strip():
        return "the line does not begin with a name"
    if name in users:
        return f'"{name}" stands in two lines'
    return "" if is_hash(secret) else f'the password of "{name}" is not hashed'


def hashed(password: str) -> str:
    """*password* as it may be written down."""
    salt = os.urandom(16)
    key = _key(password, salt, _COST, _BLOCK, _PARALLEL)
    words = [base64.b64encode(part).decode() for part in (salt, key)]
    return "$".join(["scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), *words])


def hashed_token(token: str) -> str:
    """A random *token* as it may be written down."""
    return _QUICK + base64.b64encode(hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()).decode()


def is_hash(secret: str) -> bool:
    """Whether *secret* is what ``hashed`` or ``hashed_token`` gives."""
    if secret.startswith(_QUICK):
        return len(secret) == len(hashed_token(""))
    try:
        _parts(secret)
    except ValueError:
        return False
    return True


def is_password(password: str, secret: str) -> bool:
    """Whether *secret* is the hash of *password*."""
    if secret.startswith(_QUICK):
        return _is_same(hashed_token(password), secret)
    cost, block, parallel, salt, key = _parts(secret)
    return hmac.compare_digest(_key(password, salt, cost, block, parallel), key)


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))


def _as_hash(secret: str) -> str:
    return secret if is_hash(secret) else hashed(secret)


def _parts(secret: str) -> tuple[int, int, int, bytes, bytes]:
    kind, cost, block, parallel, salt, key = secret.split("$")
    if kind != "scrypt":
        raise ValueError(kind)
    numbers = int(cost), int(block), int(parallel)
    return *numbers, base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)


def _key(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    raw = password.encode("utf-8", "surrogateescape")
    memory = 2 * 128 * cost * block
    return hashlib.scrypt(raw, salt=salt, n=cost, r=block, p=parallel, maxmem=memory, dklen=32)


def main() -> int:
    """Do as the command ``mfdata.users``; its status. So users were made before there was that command."""
    from mfext.commands.cli import run

    arguments = sys.argv[1:]
    name, *directory = arguments[arguments[:1] == ["--token"] :] or [""]
    if not name or len(directory) > 1 or ":" in name or name.startswith("-"):
        sys.stderr.write("usage: mfdata.users [--token] NAME [DIRECTORY]   prints a line for users_file\n")
        return UsageError.exit_code
    return run(arguments, "mfdata.users")


if __name__ == "__main__":
    sys.exit(main())
