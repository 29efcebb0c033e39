"""``sereno console``: who may use the console, by which tokens, and what they did."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from getpass import getuser
from typing import Any, TypeVar

import click
import msgspec

from sereno import Client, format_duration, parse_duration
from sereno_console.security import passwords, secrets
from sereno_console.security.permissions import Access
from sereno_console.tables import accounts, tokens, trail

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")

_name = click.argument("name")
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
_scopes = click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="A role or action, as viewer, operator:shop.*, pause:etl.sync. May be given many times.",
)
_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


@click.group()
def console() -> None:
    """Say who may use the console, and by which tokens."""


@console.group()
def user() -> None:
    """People, who log in with a password."""


@user.command("add")
@_name
@_scopes
@_stdin
@click.pass_obj
def add_user(obj: Any, name: str, scopes: Sequence[str], password_stdin: bool) -> None:
    """Add the user NAME, who may do what the scopes say."""
    Access.of(scopes)
    name, password = _named(name), passwords.hash_of(_password(password_stdin))

    async def change(client: Client) -> None:
        await accounts.add(client, name, password, list(scopes), _by())
        await trail.note(client, _by(), "user added", name, " ".join(scopes))

    _ask(obj, change)
    click.echo(f"user '{name}' may log in: {' '.join(scopes)}")


@user.command("list")
@_json
@click.pass_obj
def list_users(obj: Any, as_json: bool) -> None:
    """List the users."""
    found = _ask(obj, accounts.listed)
    _write(found, as_json, "nobody was added yet: sereno console user add NAME --scope admin")


@user.command("change")
@_name
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="In place of all before.")
@click.option("--enable/--disable", "enabled", default=None, help="Whether they may log in.")
@click.option("--password", "new_password", is_flag=True, help="Ask for a new password.")
@_stdin
@click.pass_obj
def change_user(
    obj: Any,
    name: str,
    scopes: Sequence[str],
    enabled: bool | None,
    new_password: bool,
    password_stdin: bool,
) -> None:
    """Change the user NAME; their sessions end."""
    Access.of(scopes)
    name = _named(name)
    typed = _password(password_stdin) if new_password or password_stdin else None
    hashed = None if typed is None else passwords.hash_of(typed)
    disabled = None if enabled is None else not enabled
    if not scopes and hashed is None and disabled is None:
        raise click.UsageError("nothing to change is named")

    async def change(client: Client) -> None:
        await accounts.change(
            client, name, password=hashed, scopes=list(scopes) or None, disabled=disabled
        )
        named = [*scopes, *(["password"] if hashed else ())]
        named += [] if disabled is None else ["disabled" if disabled else "enabled"]
        await trail.note(client, _by(), "user changed", name, " ".join(named))

    _ask(obj, change)
    click.echo(f"user '{name}' is changed, and logged out everywhere")


@user.command("remove")
@_name
@click.pass_obj
def remove_user(obj: Any, name: str) -> None:
    """Remove the user NAME; their sessions end."""

    async def change(client: Client) -> None:
        await accounts.remove(client, _named(name))
        await trail.note(client, _by(), "user removed", _named(name))

    _ask(obj, change)
    click.echo(f"user '{_named(name)}' is removed")


@console.group()
def session() -> None:
    """Who is logged in."""


@session.command("list")
@_json
@click.pass_obj
def list_sessions(obj: Any, as_json: bool) -> None:
    """List who is logged in, where and since when."""
    _write(_ask(obj, accounts.sessions), as_json, "nobody is logged in")


@session.command("revoke")
@click.argument("name", required=False)
@click.option("--all", "everybody", is_flag=True, help="Log everybody out.")
@click.pass_obj
def revoke_sessions(obj: Any, name: str | None, everybody: bool) -> None:
    """Log the user NAME out everywhere, or everybody."""
    if (name is None) != everybody:
        raise click.UsageError("name a user, or say --all")

    async def change(client: Client) -> int:
        ended = await accounts.end_sessions(client, name and _named(name))
        await trail.note(client, _by(), "sessions revoked", name or "all")
        return ended

    click.echo(f"{_ask(obj, change)} sessions are over")


@console.group()
def token() -> None:
    """Tokens, by which programs ask."""


@token.command("add")
@_name
@_scopes
@click.option("--expires", metavar="DURATION", help="For how long it counts, as 90d. [for ever]")
@_json
@click.pass_obj
def add_token(
    obj: Any, name: str, scopes: Sequence[str], expires: str | None, as_json: bool
) -> None:
    """Add the token NAME and print it: it is shown this once, and kept as a hash."""
    Access.of(scopes)
    name, made = _named(name), secrets.new_token()
    kept = (secrets.hashed(made), secrets.hint(made))
    lasts = None if expires is None else parse_duration(expires)

    async def change(client: Client) -> None:
        await tokens.add(client, name, kept, list(scopes), _by(), lasts)
        how_long = "" if lasts is None else f", for {format_duration(lasts)}"
        await trail.note(client, _by(), "token added", name, f"{' '.join(scopes)}{how_long}")

    _ask(obj, change)
    click.echo(json.dumps({"name": name, "token": made}) if as_json else made)


@token.command("list")
@_json
@click.pass_obj
def list_tokens(obj: Any, as_json: bool) -> None:
    """List the tokens: what they may, when they were used last and from where."""
    _write(_ask(obj, tokens.listed), as_json, "there is no token: sereno console token add NAME")


@token.command("revoke")
@_name
@click.pass_obj
def revoke_token(obj: Any, name: str) -> None:
    """Have the token NAME count no longer."""

    async def change(client: Client) -> None:
        await tokens.revoke(client, _named(name), _by())
        await trail.note(client, _by(), "token revoked", _named(name))

    _ask(obj, change)
    click.echo(f"token '{_named(name)}' counts no longer")


def _ask(obj: Any, question: Callable[[Client], Awaitable[T]]) -> T:
    url: str = obj.database_url  # before the loop: joining the embedded PostgreSQL blocks

    async def answer() -> T:
        async with Client.open(url, connections=1) as client:
            return await question(client)

    return asyncio.run(answer())


def _named(name: str) -> str:
    found = name.strip().lower()
    if not _NAME.fullmatch(found):
        raise click.BadParameter(f"'{name[:100]}' is no name: letters, digits, '.', '_', '-', '@'")
    return found


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return passwords.checked(sys.stdin.readline().rstrip("\r\n"))
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return passwords.checked(typed)


def _by() -> str:
    try:
        return f"{os.environ.get('SUDO_USER') or getuser()}@{os.uname().nodename}"
    except (KeyError, OSError):
        return f"uid {os.getuid()}@{os.uname().nodename}"


def _write(found: Sequence[msgspec.Struct], as_json: bool, empty: str) -> None:
    plain = [msgspec.to_builtins(each) for each in found]
    if as_json:
        click.echo(json.dumps(plain, indent=2))
        return
    if not plain:
        click.echo(empty)
        return
    names = list(plain[0])
    lines = [[_cell(each[name]) for name in names] for each in plain]
    heads = [name.replace("_", " ").upper() for name in names]
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    for line in [heads, *lines]:
        click.echo("  ".join(text.ljust(n) for text, n in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = "" if value is None else str(value)
    return text[:19].replace("T", " ") if _INSTANT.match(text) else click.unstyle(text)[:60]
