"""Which commands the FTP receiver offers."""

from __future__ import annotations

import pytest

from mfdata.receivers.ftp.offer import NOT_OFFERED, commands


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("tls", [False, True])
def test_only_what_works_is_offered(download: bool, tls: bool) -> None:
    offered = set(commands(download=download, tls=tls))
    assert not offered & set(NOT_OFFERED)
    assert ({"RETR", "REST"} <= offered) is download
    assert ({"AUTH", "PBSZ", "PROT"} <= offered) is tls
    assert {"STOR", "DELE", "MFMT", "MLST", "RNFR", "RNTO", "SIZE"} <= offered


def test_a_client_needs_no_other_right_for_its_own_files_than_to_send_them() -> None:
    assert {commands(download=False, tls=False)[name]["perm"] for name in ("DELE", "MFMT", "STOR")} == {"w"}
