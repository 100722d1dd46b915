"""A service is released, installed, upgraded and rolled back under load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mfext.testing import wait_until
from tests.integration.mfserv.load import load
from tests.integration.mfserv.serv import Serv
from tests.integration.mfserv.workers.test_registration import grown, served, write

pytestmark = pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm is not installed")


def release(serv: Serv, version: str) -> Path:
    folder = write(serv, "released", version=version, workers=2)
    config = folder / "config.ini"
    config.write_text(config.read_text().replace("[general]\n", f"[general]\nversion = {version}\n"))
    serv.run("plugins.release", ".", folder=folder)
    (archive,) = folder.glob(f"released-{version}-*.plugin")
    return archive


def test_no_request_is_lost_by_install_upgrade_and_rollback(serv: Serv) -> None:
    first, second = release(serv, "1.0"), release(serv, "2.0")
    serv.run("plugins.install", first)
    assert served(serv, "released") == "1.0"
    with load(serv.port, "/released/") as requests:
        grown(requests, 100)
        serv.run("plugins.install", "--upgrade", second)
        wait_until(lambda: served(serv, "released") == "2.0", what="the new version")
        grown(requests, 100)
        serv.run("plugins.rollback", "released")
        wait_until(lambda: served(serv, "released") == "1.0", what="the old version")
        grown(requests, 100)
    assert requests.bad == {}
    serv.run("plugins.uninstall", "released")
    assert serv.service.get("/released/").status == 404
