"""The command ``mfdata.users``: a line for the file of users."""

from __future__ import annotations

import getpass
import secrets
import sys

import click

from mfext.commands.output import JSON, print_json
from mfext.errors import UsageError
from mfext.net.users import hashed, hashed_token


@click.command()
@JSON
@click.option("--token", "is_token", is_flag=True, help="Make a random token instead of asking for a password.")
@click.argument("name")
@click.argument("directory", default="")
def users(name: str, directory: str, is_token: bool, as_json: bool) -> None:
    """Print the line of a user for users_file of the receivers.

    It is NAME:HASH, or NAME:HASH:DIRECTORY.

    The password is asked for, or read from standard input. A token is shown once: it is a password, and a bearer token
    for HTTP.
    """
    _check(name, directory)
    token = secrets.token_urlsafe(32) if is_token else ""
    hash_of_it = hashed_token(token) if is_token else hashed(_asked_password())
    line = ":".join([name, hash_of_it, *([directory] if directory else [])])
    if as_json:
        facts = {"name": name, "hash": hash_of_it, "directory": directory, "line": line}
        print_json({**facts, "token": token} if is_token else facts)
        return
    if is_token:
        click.echo(f"token, shown this once: {token}", err=True)
    click.echo(line)


def _check(name: str, directory: str) -> None:
    for what, text in (("name", name), ("directory", directory)):
        if ":" in text or text != text.strip() or not text.isprintable():
            raise UsageError(f"this is no {what} of a user: {text!r}", expected="no ':', no spaces around it, one line")
    if not name or name.startswith(("#", "-")):
        raise UsageError(f"this is no name of a user: {name!r}", expected="it begins neither with '#' nor with '-'")


def _asked_password() -> str:
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise UsageError("the password is empty")
    return password
