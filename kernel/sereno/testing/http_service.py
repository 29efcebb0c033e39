"""A stand-in of a service outside: a real HTTP server in a thread, which a function answers for."""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class HttpRequest(NamedTuple):
    """What was asked. `query`: the values of each name; `headers`: names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body read as JSON, None where it is empty; raises ValueError."""
        return json.loads(self.body) if self.body else None

    @property
    def form(self) -> dict[str, str]:
        """Return the first value of each field of a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


class HttpAnswer(NamedTuple):
    """What is answered. `content`: bytes, sent as they are; None, nothing; else as JSON."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = {}


@contextmanager
def http_service(answer: Callable[[HttpRequest], HttpAnswer]) -> Iterator[str]:
    """Serve by `answer`, on a free port of this machine; give the address, without a slash.

    `answer` is called in a thread for each request, several at once; what it raises is answered
    with status 500 and its traceback.
    """
    handler = type("Handler", (_Answering,), {"answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    answer: Callable[[HttpRequest], HttpAnswer]

    def do_GET(self) -> None:
        """Answer."""
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        asked = HttpRequest(
            self.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        try:
            told = self.answer(asked)
        except Exception:
            told = HttpAnswer(500, traceback.format_exc().encode(), {"Content-Type": "text/plain"})
        self._send(told)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _send(self, told: HttpAnswer) -> None:
        headers = dict(told.headers)
        content = told.content
        if content is None:
            content = b""
        elif not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers.setdefault("Content-Type", "application/json")
        self.send_response(told.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if told.status != 204:
            self.send_header("Content-Length", str(len(content)))
        with suppress(ConnectionError):  # who asked may be gone by now
            self.end_headers()
            if self.command != "HEAD" and told.status != 204:
                self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""
