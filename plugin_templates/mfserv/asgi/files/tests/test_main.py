"""The service through HTTP, with one worker and no router; run by ``make test``."""

from mfserv.testing import serving


def test_it_greets() -> None:
    with serving("main:app") as service:
        answer = service.get("/?name=you")
        assert answer.status == 200
        assert answer.json()["hello"] == "you"


def test_it_says_what_it_can_do() -> None:
    with serving("main:app", prefix="/here") as service:
        document = service.get("/openapi.json").json()
        assert document["paths"]["/"]["get"]["responses"]
        assert document["servers"] == [{"url": "/here"}]
