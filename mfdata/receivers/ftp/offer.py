"""FTP offer: which commands the FTP receiver has, and what it says of those that it has not."""

from __future__ import annotations

from typing import Any, ClassVar

from mfdata.receivers.ftp.tls import TLS_COMMANDS

#: What an incoming directory is not for, or would not do what the client thinks, and why.
_FOLDERS = "Folders are not kept here: send the files alone, without their folders."
_WHOLE = "is not offered: send each file whole, with STOR."
NOT_OFFERED = {
    **dict.fromkeys(("MKD", "XMKD", "RMD", "XRMD"), _FOLDERS),
    **{command: f"{command} {_WHOLE}" for command in ("APPE", "STOU")},
    "SITE CHMOD": "Rights are not changed here.",
}
#: What a client may do with its own files; pyftpdlib asks for it anew at each.
_OWN = ("DELE", "MFMT")


def commands(*, download: bool, tls: bool) -> dict[str, dict[str, Any]]:
    """The commands that work, as pyftpdlib describes them."""
    offered = {name: what for name, what in TLS_COMMANDS.items() if name not in NOT_OFFERED}
    for name in _OWN:
        offered[name] = {**offered[name], "perm": "w"}
    left_out = (*(() if download else ("RETR", "REST")), *(() if tls else ("AUTH", "PBSZ", "PROT")))
    return {name: what for name, what in offered.items() if name not in left_out}


class Offer:
    """A mixin over FTPHandler: only what works is named, the rest is refused with the reason."""

    # Overridden by those that work with the keys that are set, see ``commands``.
    proto_cmds: ClassVar[dict[str, dict[str, Any]]] = TLS_COMMANDS

    # What FTPHandler gives.
    fs: Any
    authenticated: bool
    encoding: str
    respond: Any
    push: Any
    ftp_REST: Any  # noqa: N815
    _current_facts: list[str]
    _available_facts: list[str]
    _extra_feats: list[str]

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        full = f"{cmd} {arg.split(' ')[0].upper()}" if cmd == "SITE" else cmd
        if "\0" in line:
            self.respond("501 There is a NUL in it.")
        elif cmd in ("MKD", "XMKD") and self.fs is not None and self.fs.ftp2fs(arg) == self.fs.root:
            self.respond("550 It is there already.")
        elif full in NOT_OFFERED:
            self.respond(f"502 {NOT_OFFERED[full]}")
        elif cmd == "REST" and self.authenticated and arg:
            self.ftp_REST(arg)  # whether downloads are offered or not: STOR says why it does not help
        elif cmd in TLS_COMMANDS and cmd not in self.proto_cmds:
            self._refuse(cmd)
        elif cmd in ("LIST", "NLST") and arg.startswith("-") and self.authenticated:
            super().pre_process_command(line, cmd, self._without_options(arg))  # type: ignore[misc]
        else:
            super().pre_process_command(line, cmd, arg)  # type: ignore[misc]

    def _without_options(self, argument: str) -> str:
        """Of what many clients say as to ``ls``, the name; there may be files whose names begin with a dash."""
        while argument.startswith("-") and not self.fs.lexists(self.fs.ftp2fs(argument)):
            argument = argument.partition(" ")[2].lstrip(" ")
        return argument

    def _refuse(self, cmd: str) -> None:
        if cmd == "RETR":
            self.respond("550 Files are not given out here.")
        else:
            self.respond(f"502 {'TLS is not set up here' if cmd in ('AUTH', 'PBSZ', 'PROT') else 'Not offered here'}.")

    def ftp_FEAT(self, _line: str) -> None:  # noqa: N802 - pyftpdlib looks for this name
        """What of the later RFCs works here (RFC 2389)."""
        facts = "".join(f"{fact}{'*' if fact in self._current_facts else ''};" for fact in self._available_facts)
        words = ["EPRT", "EPSV", "MDTM", "MFMT", f"MLST {facts}", "SIZE", "TVFS", *self._extra_feats]
        words += ["UTF8"] if self.encoding.lower() in ("utf8", "utf-8") else []
        words += ["REST STREAM"] if "REST" in self.proto_cmds else []
        self.push("211-These work:\r\n" + "".join(f" {word}\r\n" for word in sorted(words)))
        self.respond("211 End.")

    def ftp_TYPE(self, line: str) -> None:  # noqa: N802
        """Text or bytes; "non-print" (RFC 959) is what there is, with and without saying it."""
        words = line.upper().split()
        super().ftp_TYPE(words[0] if words[1:] == ["N"] else line)  # type: ignore[misc]

    def ftp_CWD(self, path: str) -> None:  # noqa: N802
        """There is one folder; what clients show when they cannot go to another one is this answer."""
        if self.fs.isdir(path):
            super().ftp_CWD(path)  # type: ignore[misc]
        else:
            self.respond(f"550 {_FOLDERS}")
