"""Asks the triggers of plugins, which may raise, answer nonsense, or never answer.

They are asked on a thread of their own, which is ended when no answer comes: a leader that waited
for ever would lose the lead, and the next one after it. Our own triggers are asked where they are.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

from sereno.model import fault
from sereno.model.errors import SerenoError, TriggerError
from sereno.model.registrable import check_text
from sereno.triggers.registry import foreign_kinds
from sereno.triggers.text import MAX_LENGTH, parse
from sereno.triggers.trigger import Trigger, in_utc, require_trigger

PATIENCE = 1.0
"""Seconds for an answer: far below any lease."""

SULK = 60.0
"""Seconds for which a trigger that gave no answer is not asked again."""

_MAX_SHOWN = 80
_MAX_WORDS = 300


class GuardedTrigger(Trigger):
    """A plugin's trigger: what it answers is a later instant, in UTC, or none, or TriggerError."""

    __slots__ = ("_text", "_trigger")

    def __init__(self, trigger: Trigger, text: str) -> None:
        self._trigger = trigger
        self._text = text

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` (aware), in UTC, or None for none."""
        answer: datetime | None = _asked(
            self._text, lambda: _utc(self._trigger.next_after(instant))
        )
        if answer is not None and answer <= instant:
            raise TriggerError(
                f"trigger '{self._text:.{_MAX_SHOWN}}': after {instant} it gives {answer}, which "
                "is not later"
            )
        return answer

    @property
    def text(self) -> str:
        """The trigger's own."""
        return self._text

    @property
    def zone(self) -> str | None:
        """The trigger's own, None where it cannot tell."""
        try:
            found = _asked(self._text, lambda: self._trigger.zone)
        except TriggerError:
            return None
        return found if isinstance(found, str) else None


def is_foreign(text: str) -> bool:
    """Tell whether a plugin's kind may be in `text`."""
    return any(kind in text for kind in foreign_kinds())


def read(text: str, key: str | None = None) -> Trigger:
    """Return the trigger that `text` describes, with `key` for its jitter, guarded where it may be
    a plugin's; raises TriggerError."""

    def reading() -> Trigger:
        found = parse(text)
        require_trigger("read", found)
        return found if key is None else found.keyed(key)

    def guarding() -> Trigger:
        found = reading()
        check_text(f"trigger '{text:.{_MAX_SHOWN}}'", "its text", found.text, MAX_LENGTH)
        return GuardedTrigger(found, found.text)

    return _asked(text, guarding) if is_foreign(text) else reading()


def _utc(answer: object) -> datetime | None:
    if answer is None:
        return None
    if not isinstance(answer, datetime):
        raise TriggerError(f"it gives {answer!r:.{_MAX_SHOWN}}, no datetime")
    at = in_utc(answer)
    return datetime.fromisoformat(at.isoformat()).astimezone(UTC)  # of a subclass, the plain value


class _TriggerThread(threading.Thread):
    """Calls what it is given, one call after another, until it is given up."""

    def __init__(self) -> None:
        super().__init__(name="sereno triggers", daemon=True)
        self.calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]]] = SimpleQueue()
        self.given_up = False

    def run(self) -> None:
        while not self.given_up:
            call, answers = self.calls.get()
            try:
                answers.put((call(), None))
            except BaseException as error:  # whatever it is, it is the trigger's
                answers.put((None, error))

    def give_up(self) -> None:
        """End the thread where it runs Python; a call that sleeps in C goes on for nobody."""
        self.given_up = True
        if self.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.ident), ctypes.py_object(SystemExit)
            )


_one_call = threading.Lock()
_worker: _TriggerThread | None = None
_silent: dict[str, float] = {}


def _asked(text: str, call: Callable[[], Any]) -> Any:
    """Return what `call` does for the trigger `text`; raises TriggerError for all that goes wrong
    with it."""
    shown = f"trigger '{text:.{_MAX_SHOWN}}'"
    if isinstance(threading.current_thread(), _TriggerThread):  # one trigger asks another
        return call()
    with _one_call:
        if time.monotonic() < _silent.get(text, 0.0):
            raise TriggerError(f"{shown}: it gave no answer lately, and is not asked for a while")
        answers = _sent(call)
        try:
            answer, error = answers.get(timeout=PATIENCE)
        except Empty:
            _given_up(text)
            raise TriggerError(f"{shown}: it gives no answer within {PATIENCE:g} s") from None
    if isinstance(error, SerenoError):
        raise error
    if error is not None:
        raise TriggerError(f"{shown}: {fault.sentence(error, _MAX_WORDS)}") from error
    return answer


def _sent(call: Callable[[], Any]) -> "SimpleQueue[Any]":
    global _worker  # noqa: PLW0603 - one thread for all triggers, made when the first is asked
    if _worker is None or not _worker.is_alive():
        _worker = _TriggerThread()
        _worker.start()
    answers: SimpleQueue[Any] = SimpleQueue()
    _worker.calls.put((call, answers))
    return answers


def _given_up(text: str) -> None:
    global _worker  # noqa: PLW0603
    if _worker is not None:
        _worker.give_up()
    _worker = None
    _silent[text] = time.monotonic() + SULK
