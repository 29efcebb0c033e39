"""What is posted to a webhook: our own JSON, or what Slack and Teams show as a message."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sereno import Notification

_COLOURS = {"info": "#439FE0", "warning": "#DAA038", "critical": "#D00000"}
_STYLES = {"info": "accent", "warning": "warning", "critical": "attention"}
_MAX_TEXT = 2_500
_SHOWN = ("run", "attempt", "slot", "schedule", "node", "term", "overdue_seconds")


def headline(notification: Notification) -> str:
    """Return the title with what it is: RESOLVED, or its severity; what a job has to say that is
    no matter of concern has the title alone."""
    if notification.kind == "message" and notification.severity == "info":
        return notification.title
    word = "RESOLVED" if notification.resolved else notification.severity.upper()
    return f"[{word}] {notification.title}"


def facts(notification: Notification) -> dict[str, str]:
    """Return what is worth a line of its own; what a job says, says it itself."""
    if notification.kind == "message":
        return {}
    found = {"job": notification.job, "at": f"{notification.at:%F %T} UTC"}
    found |= {k: notification.facts[k] for k in _SHOWN if k in notification.facts}
    if notification.suppressed:
        found["not told before this"] = str(notification.suppressed)
    return {name.replace("_", " "): str(value) for name, value in found.items() if value}


def as_json(notification: Notification, most_bytes: int) -> Mapping[str, Any]:
    """Return all there is: the fields of `sereno.Notification`, and a version.

    Files are in base64, the first of `most_bytes` together; of others `data` is null.
    """
    bare = msgspec.structs.replace(notification, attachments=())
    left, files = most_bytes, []
    for file in notification.attachments:
        fits = len(file.data) <= left
        left -= len(file.data) if fits else 0
        files.append(
            {
                "name": file.name,
                "media_type": file.media_type,
                "size_bytes": len(file.data),
                "data": b64encode(file.data).decode() if fits else None,
            }
        )
    return {"version": 1, **msgspec.to_builtins(bare), "attachments": files}


def as_slack(notification: Notification, most_bytes: int) -> Mapping[str, Any]:
    """Return a message for an incoming webhook of Slack, Mattermost or Rocket.Chat."""
    colour = "#2EB886" if notification.resolved else _COLOURS[notification.severity]
    fields = [
        {"title": _escaped(name), "value": _escaped(value), "short": True}
        for name, value in facts(notification).items()
    ]
    title = _escaped(headline(notification))
    return {
        "text": title,
        "attachments": [
            {
                "color": colour,
                "fallback": title,
                "text": _escaped(_shown_text(notification)),
                "fields": fields,
                "ts": int(notification.at.timestamp()),
            }
        ],
    }


def as_teams(notification: Notification, most_bytes: int) -> Mapping[str, Any]:
    """Return an adaptive card for a webhook of a Teams workflow."""
    style = "good" if notification.resolved else _STYLES[notification.severity]
    title: dict[str, Any] = {"type": "TextBlock", "text": headline(notification)}
    # A TextBlock would read Markdown in what a job said: links with another's name on them.
    told: dict[str, Any] = {"type": "TextRun", "text": _shown_text(notification)}
    rows = [{"title": n, "value": v} for n, v in facts(notification).items()]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "Container",
                "style": style,
                "items": [{**title, "weight": "bolder", "size": "medium", "wrap": True}],
            },
            {"type": "RichTextBlock", "inlines": [told]},
            {"type": "FactSet", "facts": rows},
        ],
    }
    content = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content, "content": card}]}


FORMATS: Mapping[str, Callable[[Notification, int], Mapping[str, Any]]] = {
    "json": as_json,
    "slack": as_slack,
    "teams": as_teams,
}


def _shown_text(notification: Notification) -> str:
    """Return the text as a chat shows it, and names what it does not: the files."""
    text = notification.text[:_MAX_TEXT]
    names = ", ".join(file.name for file in notification.attachments)
    return f"{text}\n\nNot sent here: {names[:_MAX_TEXT]}" if names else text


def _escaped(text: str) -> str:
    """Return `text` with nothing in it that Slack takes for a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
