"""The service."""

from tornado.web import Application, RequestHandler

from mfserv import request_id


class Hello(RequestHandler):
    """Greets whoever asks."""

    async def get(self) -> None:
        """Answer."""
        self.write({"hello": self.get_argument("name", "world"), "request": request_id()})


class Health(RequestHandler):
    """Tells that the service can work: a new worker gets requests once this answers."""

    def get(self) -> None:
        """Answer."""
        self.write({"status": "ok"})


app = Application([(r"/", Hello), (r"/health", Health)])
