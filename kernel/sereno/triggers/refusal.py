"""Refuses a text that could not be read with the words of the scheduler that it was written for."""

from sereno.model.errors import TriggerError
from sereno.model.lazy import lazy


def refuse_foreign(subject: str, text: object) -> None:
    """Raise TriggerError, which begins with `subject`, where `text` is known from elsewhere."""
    if not isinstance(text, str):
        return
    # Loaded by the first mistake: most nodes never meet one.
    told = lazy("sereno.triggers.dialects").remedy(text)
    if told:
        raise TriggerError(f"{subject} {text!r:.80}: {told}") from None
