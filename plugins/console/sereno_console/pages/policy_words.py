"""Says a job's policies in sentences; each with the name by which a configuration sets it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from sereno_console.pages.presentation import Presentation


class PolicySentence(msgspec.Struct, frozen=True):
    """What is so, and the policy that says it."""

    name: str
    text: str


def policy_sentences(told: Presentation, policies: Mapping[str, Any]) -> list[PolicySentence]:
    """Return the sentences of those policies that say something, in the order of a run's life."""
    found = []
    for name, worded in _WORDS.items():
        if policies.get(name) is not None and (text := worded(told, policies[name], policies)):
            found.append(PolicySentence(name, text))
    return found


def _span(told: Presentation, value: Any) -> str:
    return told.span(msgspec.convert(value, timedelta))


def _choice(**texts: str) -> Callable[[Presentation, Any, Mapping[str, Any]], str]:
    """Return what says the sentence of a value, which is marked for translation as it is given."""

    def sentence(told: Presentation, value: Any, _policies: Mapping[str, Any]) -> str:
        return told.gettext(texts[value]) if value in texts else ""

    return sentence


def _(text: str) -> str:
    return text


def _retry(told: Presentation, value: Any, _policies: Mapping[str, Any]) -> str:
    if value["attempts"] <= 1:
        return told.gettext("A run that fails is not tried again.")
    facts = {"count": told.number(value["attempts"]), "delay": _span(told, value["delay"])}
    if value["factor"] == 1:
        return told.gettext(
            "A run that fails is tried %(count)s times at most, %(delay)s apart.", **facts
        )
    return told.gettext(
        "A run that fails is tried %(count)s times at most, after %(delay)s, then %(factor)s times "
        "later each, %(most)s at most.",
        factor=told.number(value["factor"]),
        most=_span(told, value["max_delay"]),
        **facts,
    )


def _with_span(message: str) -> Callable[[Presentation, Any, Mapping[str, Any]], str]:
    return lambda told, value, policies: told.gettext(message, span=_span(told, value))


def _with_number(message: str) -> Callable[[Presentation, Any, Mapping[str, Any]], str]:
    return lambda told, value, policies: told.gettext(message, count=told.number(value))


def _key(told: Presentation, value: Any, policies: Mapping[str, Any]) -> str:
    limit = policies.get("concurrency_limit") or 1
    return told.texts.ngettext(
        "At most one run at a time of those with the same key %(key)s.",
        "At most %(count)s runs at a time of those with the same key %(key)s.",
        limit,
        key=value,
    )


def _priority(told: Presentation, value: Any, _policies: Mapping[str, Any]) -> str:
    if value == 0:
        return ""
    return told.gettext("Its priority is %(count)s; the higher starts first.", count=value)


def _place(told: Presentation, value: Any, _policies: Mapping[str, Any]) -> str:
    if value == "any":
        return told.gettext("Any replica may run it.")
    if value == "leader":
        return told.gettext("It runs on the replica that leads.")
    labels = [value] if isinstance(value, str) else value
    return told.gettext("It runs on a replica labelled %(labels)s.", labels=", ".join(labels))


_WORDS: dict[str, Callable[[Presentation, Any, Mapping[str, Any]], str]] = {
    "executor": _choice(
        **{
            "async": _("It runs in the event loop of its replica."),
            "thread": _("It runs in a thread of its replica."),
            "process": _("It runs in a process of its own."),
        }
    ),
    "runs_on": _place,
    "scope": _choice(
        host=_("It runs once at each host."),
        node=_("It runs once in each replica."),
    ),
    "memory_limit_mb": _with_number(_("Its process may take %(count)s MB of memory.")),
    "grace": _with_span(_("It is on time when it begins within %(span)s.")),
    "start_by": _with_span(_("It is not begun later than %(span)s after it was due.")),
    "overlap": _choice(
        skip=_("While a run is at work, the next slot is skipped."),
        queue=_("While a run is at work, the next one waits."),
        allow=_("Runs may be at work at the same time."),
        cancel_previous=_("The next slot cancels the run that is at work."),
    ),
    "max_running": _with_number(_("At most %(count)s runs of it are at work at once.")),
    "concurrency_key": _key,
    "priority": _priority,
    "timeout": _with_span(_("A run is stopped after %(span)s.")),
    "stalled_after": _with_span(_("A run that says nothing for %(span)s is told of.")),
    "retry": _retry,
    "on_lost": _choice(
        retry=_("A run whose replica dies is tried again elsewhere."),
        fail=_("A run whose replica dies is not tried again."),
    ),
    "catch_up": _choice(
        last=_("After an outage the newest missed slot runs."),
        none=_("After an outage no missed slot runs."),
        all=_("After an outage all missed slots run."),
    ),
    "max_catch_up": _with_number(_("Of missed slots the newest %(count)s run at most.")),
    "min_interval": _with_span(_("No schedule of it may have slots closer than %(span)s.")),
    "overdue_after": _with_span(_("It is overdue when it has not succeeded for %(span)s.")),
    "unique_for": _with_span(_("A run that is asked for twice within %(span)s is one.")),
    "keep_for": _with_span(_("Its runs are kept for %(span)s.")),
    "keep_runs": _with_number(_("Its newest %(count)s runs are kept.")),
}
