"""Who asks: a name, what they may, and how they have shown who they are."""

from typing import Literal

import msgspec

from sereno_console.security.permissions import Access, Action

Via = Literal["session", "token", "proxy", "local", "host"]
"""By a session of the console, a token, a proxy's word, from this machine, or the application that
the console is mounted in."""


class ForbiddenError(Exception):
    """An action is not allowed; its text is a sentence."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is known. `address`: where they ask from. `key`: of the session or token."""

    name: str
    access: Access
    via: Via
    address: str = ""
    key: str = ""

    @property
    def by(self) -> str:
        """Return who is recorded: ``ana@10.0.0.7``."""
        return f"{self.name}@{self.address}" if self.address else self.name

    def can(self, action: Action, job: str | None = None) -> bool:
        """Tell whether they may do `action`. `job`: a name or pattern; None: for any job at all."""
        return self.access.allows(action, job)

    def require(self, action: Action, job: str | None = None) -> None:
        """Raise ForbiddenError, a sentence, unless they may; it names no job that they may not
        read, which they may have met by a number."""
        if not self.can(action, job):
            what = "" if job is None or not self.can("read", job) else f" for '{job}'"
            raise ForbiddenError(f"'{self.name}' may not {action}{what}")
