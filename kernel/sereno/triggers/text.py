"""Reads triggers from the text that config, database, command line and API share."""

import json
import re

from sereno.model.errors import TriggerError
from sereno.model.suggestion import suggestion
from sereno.triggers.arguments import Arguments
from sereno.triggers.cron import parse_cron
from sereno.triggers.exclusion import parse_except_on, parse_only_on
from sereno.triggers.expression import is_field
from sereno.triggers.interval import parse_every
from sereno.triggers.jitter import parse_jitter
from sereno.triggers.once import parse_once
from sereno.triggers.refusal import refuse_foreign
from sereno.triggers.registry import find_kind, kinds, register_kind
from sereno.triggers.trigger import Trigger
from sereno.triggers.union import parse_any_of
from sereno.triggers.window import parse_within

MAX_LENGTH = 65_536
MAX_DEPTH = 16

_TOKEN = re.compile(r'\s*(?:([()])|([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s()"]+)|([^\s()"]+))')
_DURATION = re.compile(r"[\d.]+[a-z][\d.a-z]*")

register_kind("cron", parse_cron)
register_kind("every", parse_every)
register_kind("once", parse_once)
register_kind("any_of", parse_any_of)
register_kind("except_on", parse_except_on)
register_kind("only_on", parse_only_on)
register_kind("within", parse_within)
register_kind("jitter", parse_jitter)


def parse(text: str) -> Trigger:
    """Return the trigger that `text` describes: ``parse(trigger.text) == trigger``.

    The grammar is in the docstring of the package. Raises TriggerError on anything else.
    """
    if not isinstance(text, str):
        raise TriggerError(f"trigger {text!r:.60}: it must be text, as in 'every 6h'")
    if len(text) > MAX_LENGTH:
        raise TriggerError(
            f"trigger '{text[:40]}…': it has {len(text)} characters, the limit is {MAX_LENGTH}"
        )
    try:
        reader = _Reader(text)
        trigger = reader.trigger(0)
        if reader.at < len(reader.tokens):
            raise reader.error("a parenthesis is closed that was never opened")
    except TriggerError:
        if not _is_of_another_kind(text):
            refuse_foreign("trigger", text)
        raise
    return trigger


def _is_of_another_kind(text: str) -> bool:
    """Tell whether `text` names a kind that no other scheduler has, as a plugin's ``sun``."""
    kind = re.match(r"[a-z_0-9]*", text.strip().lower())
    name = kind[0] if kind else ""
    return name not in ("cron", "every") and find_kind(name) is not None


class _Reader:
    """Walks once over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.tokens: list[tuple[str, str, str, str]] = []
        end = len(text.rstrip())
        position = 0
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error(f"it cannot be read from {text[position:].strip()!r:.40} on")
            self.tokens.append((match[1] or "", match[2] or "", match[3] or "", match[4] or ""))
            position = match.end()

    def error(self, reason: str) -> TriggerError:
        return TriggerError(f"trigger {self.text!r:.80}: {reason}")

    def trigger(self, depth: int) -> Trigger:
        """Read up to the closing parenthesis or the end."""
        if depth > MAX_DEPTH:
            raise self.error(f"its parentheses are more than {MAX_DEPTH} deep")
        words: list[str] = []
        inner: list[Trigger] = []
        options: dict[str, str] = {}
        while self.at < len(self.tokens) and self.tokens[self.at][0] != ")":
            parenthesis, name, value, word = self.tokens[self.at]
            self.at += 1
            if parenthesis:
                inner.append(self._inside(depth))
            elif name in options:
                raise self.error(f"option {name!r} is given twice")
            elif name:
                options[name] = self._unquoted(value)
            else:
                words.append(word)
        return self._build(words, tuple(inner), options)

    def _inside(self, depth: int) -> Trigger:
        found = self.trigger(depth + 1)
        if self.at == len(self.tokens):
            raise self.error("a parenthesis is not closed")
        self.at += 1
        return found

    def _unquoted(self, value: str) -> str:
        if not value.startswith('"'):
            return value
        try:
            return str(json.loads(value))
        except ValueError:
            raise self.error(f"{value:.40} is not a quoted text; escape as JSON does") from None

    def _build(
        self, words: list[str], inner: tuple[Trigger, ...], options: dict[str, str]
    ) -> Trigger:
        if not words:
            raise self.error(
                "it is empty; write it like 'cron 0 8 * * * Europe/Madrid' or 'every 6h'"
            )
        kind, _, rest = words[0].partition(":")
        kind = kind.lower()
        if find_kind(kind) is not None:
            words = [rest, *words[1:]] if rest else words[1:]
        elif words[0].startswith("@") or len(words) >= 5:
            kind = "cron"
        elif _DURATION.fullmatch(words[0]):
            kind = "every"
        elif len(words) > 1 and all(map(is_field, words[:3])):
            kind = "cron"  # with too few fields, which it will say
        parser = find_kind(kind)
        if parser is None:
            hint = suggestion(kind, kinds(), f"; the kinds are {', '.join(kinds())}")
            raise self.error(f"unknown kind {kind!r:.40}{hint}")
        return parser(Arguments(kind, tuple(words), inner, options))
