"""The files through HTTP; run by ``make test``."""

from mfserv.testing import serving


def test_there_is_an_index() -> None:
    with serving("static", "static") as service:
        answer = service.get("/")
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/html")
