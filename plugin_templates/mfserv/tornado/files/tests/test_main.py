"""The service through HTTP, with one worker and no router; run by ``make test``."""

from mfserv.testing import serving


def test_it_greets() -> None:
    with serving("main:app") as service:
        answer = service.get("/?name=you")
        assert answer.status == 200
        assert answer.json()["hello"] == "you"
