"""Services of any kind are upgraded and rolled back while wrk asks them; all kinds: ``make upgrade-under-load``."""

from __future__ import annotations

import shutil

import pytest

from tests.integration.mfserv.serv import Serv
from tests.underload.kinds import elsewhere
from tests.underload.swaps import swap

pytestmark = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@pytest.mark.parametrize("template", ["static"])
def test_no_request_fails_while_a_service_is_upgraded_and_rolled_back(serv: Serv, template: str) -> None:
    with elsewhere() as others:
        done = swap(serv, template, others, seconds=0)
    assert done.swaps == 2
    assert done.figures.sent > 0
    assert done.figures.failures == dict.fromkeys(done.figures.failures, 0)
