"""The service."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.schemas import SchemaGenerator

from mfserv import request_id

#: The text below ``---`` of a docstring is what the OpenAPI document says of the path.
schemas = SchemaGenerator({"openapi": "3.1.0", "info": {"title": "The service", "version": "1"}})


async def hello(request: Request) -> JSONResponse:
    """Greet whoever asks.

    ---
    summary: Greets whoever asks
    parameters:
      - {name: name, in: query, schema: {type: string, default: world}}
    responses:
      200:
        description: A greeting, and the id of the request
        content: {application/json: {schema: {type: object}}}
    """
    return JSONResponse({"hello": request.query_params.get("name", "world"), "request": request_id()})


async def health(_request: Request) -> JSONResponse:
    """Tell that the service can work: a new worker gets requests once this answers."""
    return JSONResponse({"status": "ok"})


async def openapi(request: Request) -> JSONResponse:
    """Tell what the service can do; the path below its route is the server of the document."""
    document = schemas.get_schema(routes=request.app.routes)
    return JSONResponse({**document, "servers": [{"url": request.scope["root_path"] or "/"}]})


app = Starlette(routes=[Route("/", hello), Route("/health", health), Route("/openapi.json", openapi)])
