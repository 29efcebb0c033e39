"""The API's own description, for programs that make a client of it."""

import msgspec
from starlette.responses import Response

from sereno_console.api.document import document
from sereno_console.api.routes import API
from sereno_console.web.request import ConsoleRequest


@API.on("GET", "/openapi.json", needs="known")
async def openapi(request: ConsoleRequest) -> Response:
    """Answer with the OpenAPI document."""
    return Response(msgspec.json.encode(document()), 200, media_type="application/json")
