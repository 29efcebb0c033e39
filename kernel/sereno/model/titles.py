"""What people call a job, a schedule or a run: title, owner, runbook and tags, each checked."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from sereno.model.errors import DeclarationError, SerenoError
from sereno.model.registrable import check_text
from sereno.model.text import visible_line

MAX_TITLE = 200
MAX_RUNBOOK = 2_000
MAX_TAG = 60
MAX_TAGS = 20


def checked_title(text: object, what: str, subject: str) -> str:
    """Return a title or an owner, in whatever script; raises DeclarationError on what cannot be
    seen, and on what is too long."""
    if not isinstance(text, str):
        raise DeclarationError(f"{subject}: {what} is {text!r:.100}, it must be a text")
    found = text.strip()
    check_text(subject, what, found, MAX_TITLE)
    if visible_line(found) != found:
        raise DeclarationError(f"{subject}: {what} is {found!r:.220}; leave out what is not seen")
    return found


def checked_runbook(text: object, subject: str) -> str:
    """Return the address of a page that says what to do; raises DeclarationError on all but http
    and https, and on one that holds a password."""
    if text == "":
        return ""
    shown = f"{subject}: runbook is {text!r:.100}"
    if not isinstance(text, str) or visible_line(text) != text or text.split() != [text]:
        raise DeclarationError(f"{shown}, it must be a link, as https://wiki.example.com/page")
    try:
        parts = urlsplit(text)
        host, secret = parts.hostname, parts.username or parts.password
    except ValueError as error:
        raise DeclarationError(f"{shown}, which is no link: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise DeclarationError(f"{shown}, it must begin with https:// and name a host")
    if secret:
        raise DeclarationError(f"{subject}: runbook names a user, and all see it; leave that out")
    check_text(subject, "runbook", text, MAX_RUNBOOK)
    return text


def checked_tags(
    tags: object, subject: str, raised: type[SerenoError] = DeclarationError
) -> tuple[str, ...]:
    """Return `tags` in order, each once; raises `raised` on what is none."""
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise raised(f"{subject}: tags are {tags!r:.100}, they must be a list of texts")
    found = set()
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip() or visible_line(tag) != tag:
            raise raised(f"{subject}: tag {tag!r:.80} is no text that can be seen")
        if tag != tag.strip() or len(tag) > MAX_TAG:
            raise raised(
                f"{subject}: tag {tag!r:.80} must have at most {MAX_TAG} characters, "
                "and no blank at its ends"
            )
        found.add(tag)
    if len(found) > MAX_TAGS:
        raise raised(f"{subject}: {len(found)} tags are more than {MAX_TAGS}")
    return tuple(sorted(found))
