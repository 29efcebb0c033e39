"""Stand-ins of SIAL, Microsoft Graph, Moodle and a mail server, as their documentation has them."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller

from sereno.testing import HttpAnswer, HttpRequest, free_port, http_service

PER_PAGE = 50


class World:
    """What there is outside. Tests set what goes wrong; `users` and `mails` are what came of it."""

    def __init__(self, students=150):
        self.students = [
            {"dni": 40_000_000 + n, "nombre": f"Alumno Ñandú {n}", "email": f"a{n}@correo.example"}
            for n in range(students)
        ]
        self.users, self.licences, self.moodle, self.mails = {}, set(), set(), []
        self.throttled = self.broken = 0
        self.refuse_licences = self.refuse_deletes = self.moodle_refuses = False

    def sial(self, query):
        """Answer a page of students."""
        if self.broken:
            self.broken -= 1
            return 503, {"error": "mantenimiento"}
        page = int(query.get("page", ["1"])[0])
        pages = max(1, -(-len(self.students) // PER_PAGE))
        return 200, {
            "alumnos": self.students[(page - 1) * PER_PAGE : page * PER_PAGE],
            "pages": pages,
        }

    def graph(self, method, path, body):
        """Answer as Graph does: 201 with the user, 204 for changes, its own body of errors."""
        if self.throttled:
            self.throttled -= 1
            return 429, _error("TooManyRequests", "Too many requests")
        name = path[1] if len(path) > 1 else ""
        if method == "POST" and path == ["users"]:
            name = body["userPrincipalName"]
            if name in self.users:
                text = "Another object with the same value for property userPrincipalName "
                text += "already exists."
                return 400, _error("Request_BadRequest", text)
            self.users[name] = body["passwordProfile"]["password"]
            self.moodle.add(name)
            return 201, {"id": name, "userPrincipalName": name}
        if name not in self.users:
            return 404, _error("Request_ResourceNotFound", f"Resource '{name}' does not exist")
        if path[2:] == ["assignLicense"]:
            if self.refuse_licences:
                return 400, _error("Request_BadRequest", "Subscription has no licenses left")
            self.licences.add(name)
            return 200, {"userPrincipalName": name}
        if method == "PATCH":
            self.users[name] = body["passwordProfile"]["password"]
            return 204, None
        if method == "DELETE":
            if self.refuse_deletes:
                return 403, _error("Authorization_RequestDenied", "Insufficient privileges")
            del self.users[name]
            return 204, None
        return 405, None

    def moodle_delete(self, body):
        """Answer as Moodle does: status 200, and an exception in the body where it fails."""
        if self.moodle_refuses:
            return 200, {
                "exception": "moodle_exception",
                "errorcode": "nopermission",
                "message": "No permission",
            }
        self.moodle.discard(body.get("userids[0]"))
        return 200, None

    async def handle_DATA(self, server, session, envelope):
        """Take a mail."""
        self.mails.append((envelope.rcpt_tos[0], envelope.content.decode()))
        return "250 OK"

    def answer(self, asked: HttpRequest) -> HttpAnswer:
        """Answer as the service does that the first part of the path names."""
        room, *path = asked.path.strip("/").split("/")
        if room == "sial":
            status, told = self.sial(asked.query)
        elif room == "graph":
            status, told = self.graph(asked.method, path, asked.json)
        else:
            status, told = self.moodle_delete(asked.form)
            told = b"null" if told is None else told
        return HttpAnswer(status, told, {"Retry-After": "1"} if status == 429 else {})


@contextmanager
def outside(world) -> Iterator[dict[str, str]]:
    """Serve `world`; give the variables of the environment that lead the project to it."""
    with http_service(world.answer) as at:
        mail = Controller(world, hostname="127.0.0.1", port=free_port())
        mail.start()
        try:
            yield {
                "SIAL_URL": f"{at}/sial",
                "GRAPH_URL": f"{at}/graph",
                "MOODLE_URL": f"{at}/moodle",
                "MAIL_PORT": str(mail.port),
            }
        finally:
            mail.stop()


def _error(code, message):
    return {"error": {"code": code, "message": message}}
