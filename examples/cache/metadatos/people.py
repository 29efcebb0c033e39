"""The service's own users: those of CONSOLE_USERS, whose password their browser asks for."""

import base64
import secrets
from typing import Any, NamedTuple

from sereno import ConfigurationError

CHALLENGE = 'Basic realm="Metadatos", charset="UTF-8"'


class User(NamedTuple):
    """One of them. `role`: viewer, operator or admin, as the console has them."""

    name: str
    password: str
    role: str


class People:
    """Tells the console who asks and what they may. `text`: ``ana:password:admin``, by commas."""

    def __init__(self, text: str) -> None:
        users = [User(*_fields(one)) for one in text.split(",") if one.strip()]
        self._users = {user.name: user for user in users}

    def resolve_user(self, request: Any) -> User | None:
        """Return who has sent name and password, None for nobody."""
        kind, _, told = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(told, validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text
            return None
        user = self._users.get(name)
        if user is None or not secrets.compare_digest(user.password.encode(), password.encode()):
            return None
        return user

    def resolve_access(self, user: User) -> list[str]:
        """Return what they may."""
        return [user.role]


def _fields(one: str) -> list[str]:
    fields = one.strip().split(":")
    if len(fields) != 3 or not all(fields):
        told = f"{fields[0]}:..." if len(fields) > 1 else "an entry"
        raise ConfigurationError(f"CONSOLE_USERS: {told} is not NAME:PASSWORD:ROLE, ...")
    return fields
