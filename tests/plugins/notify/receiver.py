"""A real HTTP server that keeps what is posted to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sereno.testing import Signals

from ...servers.web import Handler, serving


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers`: statuses to answer with, one a request, then 200."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    signals: Signals = field(default_factory=Signals)

    @property
    def paths(self) -> list[str]:
        return [r.path.partition("?")[0] for r in self.requests]


@contextmanager
def receiving() -> Iterator[Receiver]:
    found = Receiver()

    class Posted(Handler):
        def do_POST(self) -> None:
            body = self.body()
            headers = {k.lower(): v for k, v in self.headers.items()}
            found.requests.append(Request(self.path, headers, body))
            status = found.answers.pop(0) if found.answers else 200
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            found.signals.say("posted", path=self.path.partition("?")[0])

    with serving(Posted) as found.url:
        yield found
