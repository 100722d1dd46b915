"""FTP authorizer: who may log in to the FTP receiver, and to which folder, as pyftpdlib asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mfdata.receivers.common_receiver import made_folder
from mfext.log import get_logger
from mfext.net.users import User, Users

log = get_logger(__name__)


class Authorizer:
    """Who may log in and do what, as the session and pyftpdlib ask for it."""

    def __init__(self, users: Users, folder_of: Callable[[str], Path], permissions: str) -> None:
        """*folder_of* gives the folder for a directory as configuration names it, '' = the usual one."""
        self._users = users
        self._folder_of = folder_of
        self._permissions = permissions
        self._homes: dict[str, str] = {}

    def recalled(self, username: str, password: str) -> User | None:
        """The user *username* if *password* was found right before; this takes no time."""
        self._users.refresh_or_keep()
        return self._users.recalled(username, password)

    def known(self, username: str, password: str) -> User | None:
        """The user *username* if *password* is his; this takes time, on purpose."""
        return self._users.known(username, password)

    def admitted(self, user: User) -> bool:
        """Whether *user* has a folder that can be used."""
        try:
            self._homes[user.name] = made_folder(self._folder_of(user.directory))
        except OSError as error:
            log.error("a user has no directory", user=user.name, reason=str(error))
            return False
        return True

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
