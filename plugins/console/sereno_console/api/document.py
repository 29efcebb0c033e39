"""Makes the OpenAPI 3.1 document from the Structs that what comes is converted to."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from sereno_console import __version__
from sereno_console.api.operation import Operation
from sereno_console.api.routes import API
from sereno_console.web.answers import Problem
from sereno_console.web.routes import WebRoute

_REF = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"\{(\w+)\}")
_NUMBERS = ("run", "bulk", "backfill", "blackout")
_PROBLEMS = (400, 401, 403, 404, 405, 409, 412, 415, 422, 429, 500, 503, 504)
_PROBLEM = {"$ref": "#/components/responses/Problem"}

_HEADERS = {
    "Idempotency-Key": "Made again with the same key, a request is answered as the first time.",
    "If-Match": "The ETag of the version that the change is meant for; 412 when it is another.",
}


@cache
def document() -> dict[str, Any]:
    """Return the document of all operations."""
    routes: list[WebRoute] = [route for route in API if isinstance(route.facts, Operation)]
    types = [Problem]
    for route in routes:
        types += [route.facts.given, route.facts.answer]
    schemas, components = msgspec.json.schema_components(
        types, ref_template=_REF, schema_hook=_schema_of
    )
    found = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda r: (r.path, r.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = _described(
            route, found, components
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sereno",
            "version": __version__,
            "description": "Jobs, runs and schedules, as `sereno.Client` has them.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": _plain(components),
            "responses": {
                "Problem": {
                    "description": "What is in the way, in a sentence",
                    "content": {"application/problem+json": {"schema": found[_key(Problem)]}},
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _described(
    route: WebRoute, found: Mapping[str, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    facts: Operation = route.facts
    given = components[_name(found[_key(facts.given)])]
    parameters = [_of_path(name) for name in _VARIABLE.findall(route.path)]
    parameters += [_of_header(name) for name in facts.headers]
    told: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": facts.summary,
        "tags": [facts.tag],
        "responses": _answers(facts, found),
    }
    if route.method in ("GET", "DELETE"):
        parameters += list(_of_query(given))
    elif given.get("properties"):
        told["requestBody"] = {
            "required": bool(given.get("required")),
            "content": {"application/json": {"schema": found[_key(facts.given)]}},
        }
    return {**told, "parameters": parameters}


def _answers(facts: Operation, found: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"schema": found[_key(facts.answer)]}
    told: dict[str, Any] = {
        str(facts.status): {
            "description": HTTPStatus(facts.status).phrase,
            "content": {facts.media_type: schema},
        }
    }
    if facts.status != HTTPStatus.OK and facts.summary.startswith("Queue"):
        told["200"] = {**told[str(facts.status)], "description": "It was queued before"}
    return told | {str(status): _PROBLEM for status in _PROBLEMS}


def _of_path(name: str) -> dict[str, Any]:
    limits: dict[str, Any] = {"type": "string", "minLength": 1}
    if name in _NUMBERS:
        limits = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    return {"name": name, "in": "path", "required": True, "schema": limits}


def _of_header(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
    if name == "If-Match":
        schema = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
    return {"name": name, "in": "header", "description": _HEADERS[name], "schema": schema}


def _of_query(given: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    needed = given.get("required", ())
    for name, schema in given.get("properties", {}).items():
        kinds = [kind for kind in schema.get("anyOf", [schema]) if kind != {"type": "null"}]
        plain = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        yield {"name": name, "in": "query", "required": name in needed, "schema": plain}


def _plain(found: Any) -> Any:
    """Return schemas as their readers take them: durations have fractions of seconds, which JSON
    Schema's own format has not; what Structs say of themselves in lines without an indent."""
    if isinstance(found, list):
        return [_plain(each) for each in found]
    if not isinstance(found, dict):
        return found
    plain = {name: _plain(value) for name, value in found.items()}
    if plain.get("format") == "duration":
        plain["format"] = "iso8601-duration"
    if isinstance(text := plain.get("description"), str):
        plain["description"] = "\n".join(line.strip() for line in text.splitlines())
    return plain


def _key(kind: Any) -> str:
    return repr(kind)


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Counter:
        return {"type": "object", "additionalProperties": {"type": "integer"}}
    raise NotImplementedError
