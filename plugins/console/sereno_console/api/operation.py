"""One operation of the API: the Structs that what comes is converted to, and how it is answered."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from sereno import Page, ParamsError
from sereno_console.api.repetition import answered_once
from sereno_console.api.routes import API
from sereno_console.security.gate import Need
from sereno_console.web.answers import ProblemError, json
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.routes import Handler
from sereno_console.web.sight import visible

G = TypeVar("G", bound=msgspec.Struct)

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is to be given."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What the document tells of an operation. `given`: what its query, or its body, is converted
    to; `answer`: the type of what it answers with; `headers`: those that it reads."""

    tag: str
    summary: str
    given: type[msgspec.Struct]
    answer: Any
    status: int = 200
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


def operation(
    method: Method,
    path: str,
    given: type[G],
    answer: Any,
    *,
    needs: Need,
    tag: str,
    status: int = 200,
    media_type: str = "application/json",
    headers: tuple[str, ...] = (),
) -> Callable[[Callable[[ConsoleRequest, G], Awaitable[Any]]], Handler]:
    """Return what adds the function below it to the API. Its first sentence says what it does.

    It takes the request and what was given, and returns a value of the type `answer`, or a whole
    answer.
    """

    def added(work: Callable[[ConsoleRequest, G], Awaitable[Any]]) -> Handler:
        in_body = method in ("POST", "PATCH")
        named = (*headers, *(("Idempotency-Key",) if method == "POST" else ()))
        facts = Operation(
            tag=tag,
            summary=(work.__doc__ or "").partition("\n")[0],
            given=given,
            answer=answer,
            status=status,
            media_type=media_type,
            headers=named,
        )

        async def handler(request: ConsoleRequest) -> Response:
            wanted = await _body(request, given) if in_body else _query(request, given)
            found = await work(request, wanted)
            if isinstance(found, Response):
                return found
            return json(visible(request.user, found), status)

        handler.__name__ = work.__name__
        kept = answered_once(handler) if method == "POST" else handler
        return API.on(method, path, needs=needs, facts=facts)(kept)

    return added


def listed(request: ConsoleRequest, found: Page[Any]) -> Response:
    """Answer with the items of a page as a list; the header Link (RFC 8288) leads on and back."""
    asked = [(n, v) for n, v in request.query_params.multi_items() if n != "cursor"]
    ways = [("next", found.older), ("prev", found.newer)]
    links = [
        f'<{request.asked_path}?{urlencode([*asked, ("cursor", at)])}>; rel="{rel}"'
        for rel, at in ways
        if at is not None
    ]
    named = {"link": ", ".join(links)} if links else {}
    return json(visible(request.user, list(found.items)), 200, **named)


def number(request: ConsoleRequest, name: str) -> int:
    """Return a number in the path; raises ParamsError."""
    text = request.arguments[name]
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise ParamsError(f"{name} '{text[:60]}': it must be a whole number")
    return int(text)


def given_fields(given: msgspec.Struct, *but: str) -> dict[str, Any]:
    """Return what was given, without what was left out (UNSET)."""
    fields = ((name, getattr(given, name)) for name in given.__struct_fields__ if name not in but)
    return {name: value for name, value in fields if value is not msgspec.UNSET}


def _query(request: ConsoleRequest, given: type[G]) -> G:
    pairs: dict[str, Any] = {}
    many = _lists(given)
    for name, value in request.query_params.multi_items():
        if name in many:
            pairs.setdefault(name, []).append(value)
        elif name in pairs:
            raise ParamsError(f"query: '{name[:60]}' is there twice")
        else:
            pairs[name] = value
    return _converted(pairs, given, "query")


def _lists(given: type[msgspec.Struct]) -> set[str]:
    kinds = (msgspec.inspect.VarTupleType, msgspec.inspect.ListType)
    info = msgspec.inspect.type_info(given)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    return {field.encode_name for field in fields if isinstance(field.type, kinds)}


def _converted(pairs: Mapping[str, Any], given: type[G], what: str) -> G:
    try:
        return msgspec.convert(pairs, given, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ParamsError(f"{what}: {error}") from None


async def _body(request: ConsoleRequest, given: type[G]) -> G:
    if request.query_params:
        raise ParamsError("query: this takes none; what is given stands in the body")
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, "the body must be JSON: Content-Type: application/json")
    try:
        return msgspec.json.decode(body or b"{}", type=given)
    except msgspec.MsgspecError as error:
        raise ParamsError(f"body: {error}") from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise ParamsError(f"body: it cannot be held: {error}"[:300]) from None
