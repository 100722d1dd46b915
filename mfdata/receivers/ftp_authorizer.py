"""FTP authorizer: who may log in to the FTP receiver, and to which folder, as pyftpdlib asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyftpdlib.exceptions import AuthenticationFailed

from mfdata.receivers.reception import made_folder
from mfdata.receivers.users import Users
from mfext.log import get_logger

log = get_logger(__name__)


class Authorizer:
    """Who may log in and do what, as pyftpdlib asks for it."""

    def __init__(self, users: Users, folder_of: Callable[[str], Path], permissions: str) -> None:
        """*folder_of* gives the folder for a directory as configuration names it, '' = the usual one."""
        self._users = users
        self._folder_of = folder_of
        self._permissions = permissions
        self._homes: dict[str, str] = {}

    def validate_authentication(self, username: str, password: str, _handler: Any) -> None:
        self._users.refresh_or_keep()
        user = self._users.known(username, password)
        if user is None:
            raise AuthenticationFailed
        try:
            self._homes[username] = made_folder(self._folder_of(user.directory))
        except OSError as error:
            log.error("a user has no directory", user=username, reason=str(error))
            raise AuthenticationFailed("The directory is not there.") from error

    def get_home_dir(self, username: str) -> str:
        return self._homes[username]

    def has_perm(self, _username: str, perm: str, _path: str | None = None) -> bool:
        return perm in self._permissions

    def get_perms(self, _username: str) -> str:
        return self._permissions

    def get_msg_login(self, _username: str) -> str:
        return "Welcome."

    def get_msg_quit(self, _username: str) -> str:
        return "Good-bye."

    def impersonate_user(self, _username: str, _password: str) -> None:
        """All files are ours."""

    def terminate_impersonation(self, _username: str) -> None:
        """All files are ours."""
