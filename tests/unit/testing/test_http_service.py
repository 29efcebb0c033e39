"""A service outside is stood in for by a real HTTP server."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sereno.testing import HttpAnswer, HttpRequest, http_service


def test_a_function_answers_for_a_service() -> None:
    asked: list[HttpRequest] = []

    def answer(request: HttpRequest) -> HttpAnswer:
        asked.append(request)
        if request.path == "/busy":
            return HttpAnswer(429, {"error": "ñ"}, {"Retry-After": "1"})
        return HttpAnswer(204) if request.method == "DELETE" else HttpAnswer(content=[1, "ñ"])

    with http_service(answer) as at:
        with urlopen(Request(f"{at}/a?x=1&x=2", data=b'{"n": 1}'), timeout=30) as got:
            assert (got.status, json.load(got)) == (200, [1, "ñ"])
        with urlopen(Request(f"{at}/b", method="DELETE"), timeout=30) as got:
            assert (got.status, got.read()) == (204, b"")
        with pytest.raises(HTTPError) as busy:
            urlopen(f"{at}/busy", timeout=30)
        assert (busy.value.code, busy.value.headers["Retry-After"]) == (429, "1")
        busy.value.close()
    first, second, third = asked
    assert (first.method, first.query, first.json) == ("POST", {"x": ["1", "2"]}, {"n": 1})
    assert (second.method, second.json) == ("DELETE", None)
    assert (third.method, third.headers["host"]) == ("GET", at.removeprefix("http://"))


def test_a_form_is_read_and_what_is_raised_is_answered_with_500() -> None:
    def answer(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(content=request.form["name"].encode())

    with http_service(answer) as at:
        with urlopen(at, data=b"name=Jos%C3%A9&name=x", timeout=30) as got:
            assert got.read().decode() == "José"
        with pytest.raises(HTTPError) as broken:
            urlopen(at, data=b"", timeout=30)
        assert broken.value.code == 500
        assert b"KeyError" in broken.value.read()
