"""Stand-ins of PanAccess and of who is told what goes wrong, as their documentation has them."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Lock

from sereno.testing import HttpAnswer, HttpRequest, http_service

USER, PASSWORD, SALT, TOKEN = "telemetria", "clave", "sal", "ficha"
CHANNELS = ("Canal 12", "El Doce HD", "Fútbol 1", "Noticias 24", "Cine Ñandú")


class World:
    """What there is outside. Tests set what goes wrong; `calls` and `alerts` are what came of it.

    `throttled`, `broken`: how many calls are answered so, with 429 or 503. `cut`: offsets of pages
    that are answered with 502 once. `forgets`: how often sessions are forgotten. `held`: pages wait
    while it is not set. `grows`: views that there are more at each first page.
    """

    def __init__(self, views=0, grows=0):
        self.records, self.calls, self.alerts = [], [], []
        self.throttled = self.broken = self.forgets = 0
        self.cut, self.sessions = set(), set()
        self.password, self.grows = PASSWORD, grows
        self.lock, self.held = Lock(), Event()
        self.held.set()
        self.add_views(views)

    def add_views(self, many):
        """Add views of channels: each has a beginning (7), which has the name, and an end (8)."""
        for _ in range(many):
            number = len(self.records) + 1
            channel = number // 2 % len(CHANNELS)
            self.add(actionId=7, actionKey="ottStart", dataId=channel, dataName=CHANNELS[channel])
            self.add(
                actionId=8, actionKey="ottStop", dataId=channel, dataDuration=60 + number % 900
            )

    def add(self, **record):
        """Add one record, as PanAccess numbers them."""
        number = len(self.records) + 1
        at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=number % 3_600)
        found = {
            "recordId": number,
            "subscriberCode": f"S{number % 97:04}",
            "deviceId": 9_000 + number % 97,
            "timestamp": f"{at:%Y-%m-%d %H:%M:%S}",
            "manual": False,
            "anonymized": False,
        }
        self.records.append({**found, **record})

    def answer(self, asked: HttpRequest) -> HttpAnswer:
        """Answer as PanAccess, or as who is told what goes wrong."""
        if asked.path == "/alerts":
            self.alerts.append(asked.json)
            return HttpAnswer(204)
        status, told = self.panaccess(asked.query.get("f", [""])[0], asked.form)
        return HttpAnswer(status, told, {"Retry-After": "1"} if status == 429 else {})

    def panaccess(self, function, asked):
        """Answer a function: what it refuses it refuses with status 200."""
        self.held.wait(60)
        with self.lock:
            self.calls.append((function, int(asked.get("offset", 0))))
            if self.throttled:
                self.throttled -= 1
                return 429, {"error": "Too Many Requests"}
            if self.broken:
                self.broken -= 1
                return 503, {"error": "maintenance"}
            if function == "login":
                return 200, self._login(asked)
            if self.forgets:
                self.forgets -= 1
                self.sessions.clear()
            if asked.get("sessionId") not in self.sessions:
                return 200, _refusal("no_access_to_function", f"No access to function {function}")
            if function != "getListOfTelemetryRecords":
                return 200, _refusal("unknown_function", f"Unknown function {function}")
            return self._page(int(asked["offset"]), int(asked["limit"]))

    def _login(self, asked):
        if asked.get("apiToken") != TOKEN:
            return _refusal("wrong_api_token", "The api token is wrong")
        hashed = hashlib.md5((self.password + SALT).encode(), usedforsecurity=False).hexdigest()
        if (asked.get("username"), asked.get("password")) != (USER, hashed):
            return {"success": True, "answer": False}
        session = secrets.token_hex(8)
        self.sessions.add(session)
        return {"success": True, "answer": session}

    def _page(self, offset, limit):
        if limit > 1_000:
            return 200, _refusal("invalid_parameter", "limit must be at most 1000")
        if offset in self.cut:
            self.cut.discard(offset)
            return 502, {"error": "bad gateway"}
        if offset == 0:
            self.add_views(self.grows)
        last = len(self.records) - offset
        page = self.records[max(0, last - limit) : max(0, last)][::-1]
        return 200, {
            "success": True,
            "answer": {"count": len(self.records), "telemetryRecordEntries": page},
        }


@contextmanager
def outside(world) -> Iterator[dict[str, str]]:
    """Serve `world`; give the variables of the environment that lead the project to it."""
    with http_service(world.answer) as at:
        yield {
            "PANACCESS_URL": f"{at}/",
            "PANACCESS_USERNAME": USER,
            "PANACCESS_PASSWORD": PASSWORD,
            "PANACCESS_SALT": SALT,
            "PANACCESS_API_TOKEN": TOKEN,
            "ALERTS_URL": f"{at}/alerts",
        }


def _refusal(code, message):
    return {"success": False, "errorCode": code, "errorMessage": message}
