"""Static files by names that change with their content: a browser may keep them for ever."""

import hashlib
from functools import cache
from importlib.resources import files
from mimetypes import guess_type

from starlette.responses import Response

from sereno_console.pages.routes import PAGES
from sereno_console.web.answers import ProblemError
from sereno_console.web.request import ConsoleRequest

_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def contents() -> dict[str, bytes]:
    """Return each file of ``static/`` by its name."""
    folder = files("sereno_console.pages").joinpath("static")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@cache
def asset(name: str) -> str:
    """Return the name of a file with its content's mark in it: ``console.3f9c21d07a.css``."""
    stem, _, kind = name.rpartition(".")
    return f"{stem}.{hashlib.blake2s(contents()[name], digest_size=5).hexdigest()}.{kind}"


@PAGES.on("GET", "/static/{name}", needs=None)
async def static(request: ConsoleRequest) -> Response:
    """Answer with a file. Of another version's mark, as during a deploy, with ours, not kept."""
    asked = request.arguments["name"]
    stem, _, kind = asked.rpartition(".")
    name = f"{stem.rpartition('.')[0]}.{kind}"
    if name not in contents():
        raise ProblemError(404, f"there is no file '{asked[:200]}'")
    kept = _FOR_EVER if asset(name) == asked else "no-store"
    media_type = guess_type(name)[0] or "application/octet-stream"
    return Response(contents()[name], 200, {"cache-control": kept}, media_type=media_type)
