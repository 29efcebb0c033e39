"""Every operation of the REST API, from its OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from tools.reference.source import cell

from sereno_console.api.document import document
from sereno_console.api.routes import API

_VERBS = ("get", "post", "patch", "delete", "put")


def operations() -> str:
    """Return a table of operations for each of their kinds."""
    told = document()
    kinds: dict[str, list[str]] = {}
    for path, methods in told["paths"].items():
        for method, facts in methods.items():
            if method in _VERBS:
                row = _row(method, path, facts, told)
                kinds.setdefault(facts["tags"][0], []).append(row)
    head = "| operation | what it does | needs | takes | answers |\n|---|---|---|---|---|\n"
    return "\n\n".join(f"### {kind}\n{head}" + "\n".join(kinds[kind]) for kind in sorted(kinds))


def _row(method: str, path: str, facts: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    needs = {(r.method, r.path): r.needs for r in API}[(method.upper(), path)]
    answer = next(iter(facts["responses"].items()))
    columns = [
        f"`{method.upper()} {path}`",
        facts["summary"].rstrip("."),
        f"`{needs}`" if needs else "",
        ", ".join(_taken(facts, told)),
        f"{answer[0]} {_kind(answer[1])}".strip(),
    ]
    return "| " + " | ".join(cell(one) for one in columns) + " |"


def _taken(facts: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    named = [p["name"] for p in facts["parameters"] if p["in"] in ("query", "header")]
    needed = {p["name"] for p in facts["parameters"] if p.get("required")}
    body = facts.get("requestBody")
    if body:
        schema = _schema(body["content"]["application/json"]["schema"], told)
        named = [*schema.get("properties", {}), *named]
        needed |= set(schema.get("required", ()))
    return [f"**`{name}`**" if name in needed else f"`{name}`" for name in named]


def _schema(schema: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(answer: Mapping[str, Any]) -> str:
    for kind, content in answer.get("content", {}).items():
        if kind != "application/json":
            return f"`{kind}`"
        schema = content["schema"]
        many = schema.get("type") == "array"
        named = (schema.get("items", {}) if many else schema).get("$ref", "").rpartition("/")[2]
        if named:
            return f"`{named}`" + (" s".replace(" ", "") if many else "")
    return ""
