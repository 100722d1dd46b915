"""The service."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mfserv import request_id


async def hello(request: Request) -> JSONResponse:
    """Greet whoever asks."""
    return JSONResponse({"hello": request.query_params.get("name", "world"), "request": request_id()})


async def health(_request: Request) -> JSONResponse:
    """Tell that the service can work: a new worker gets requests once this answers."""
    return JSONResponse({"status": "ok"})


app = Starlette(routes=[Route("/", hello), Route("/health", health)])
