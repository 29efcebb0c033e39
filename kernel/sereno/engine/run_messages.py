"""Keeps what one attempt says to people until it is written, with what each message is known by."""

from threading import Lock
from uuid import UUID, uuid4, uuid5

import msgspec

from sereno.model.errors import RunError
from sereno.model.message import Message, checked_message
from sereno.model.registrable import check_text
from sereno.model.run import SaidMessage

MAX_MESSAGES = 100
"""Messages of one attempt: a loop that tells people of each row is a mistake."""

_KEYS = UUID("9a2c1c1e-6d0b-4c3f-8f43-5d8e2f1f7a10")


class RunMessages(msgspec.Struct):
    """The messages of one attempt, from any thread."""

    said: dict[UUID, SaidMessage] = {}
    written: set[UUID] = set()
    lock: Lock = msgspec.field(default_factory=Lock)

    def add(self, message: SaidMessage) -> None:
        """Keep `message`, once; raises RunError for the first beyond `MAX_MESSAGES`."""
        with self.lock:
            if message.token not in self.said and len(self.said) >= MAX_MESSAGES:
                raise RunError(
                    f"it has sent {MAX_MESSAGES} messages, which is the limit of an attempt; put "
                    "what there is to tell into one"
                )
            self.said.setdefault(message.token, message)

    def waiting(self) -> tuple[SaidMessage, ...]:
        """Return those that are not known to be written."""
        with self.lock:
            return tuple(m for token, m in self.said.items() if token not in self.written)

    def note(self, messages: tuple[SaidMessage, ...]) -> None:
        """Take note that `messages` are written; their content is let go."""
        with self.lock:
            for message in messages:
                self.written.add(message.token)
                self.said[message.token] = SaidMessage(message.token, Message(""))


def keyed_message(job: str, message: object, key: str | None) -> SaidMessage:
    """Return `message` with its token: with a `key`, the same for all runs of `job`."""
    checked = checked_message(message)
    if key is None:
        return SaidMessage(uuid4(), checked)
    check_text(f"message {checked.title!r:.100}", "key", key, 1000)
    return SaidMessage(uuid5(_KEYS, f"{job}\0{key}"), checked)
