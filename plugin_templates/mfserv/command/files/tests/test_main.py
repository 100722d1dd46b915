"""The program through HTTP; run by ``make test``."""

from mfserv.testing import serving


def test_it_greets() -> None:
    with serving("{PYTHON} serve.py", "command") as service:
        answer = service.get("/")
        assert answer.status == 200
        assert answer.json() == {"hello": "world"}
