"""``python -m crm``: the CRM with stand-ins of its cache and of who hears of its reports."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from contextlib import ExitStack
from functools import partial
from typing import NoReturn

import uvicorn

from crm.app import create_app
from crm.jobs import cleanup, metrics_refresh, notification_checks
from crm.people import salted
from crm.settings import tables
from crm.stand_ins import DATA, Receiver, world
from sereno import Sereno, SerenoError
from sereno.embedded import EmbeddedPostgres


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; POSTGRES_DSN, else a PostgreSQL that is thrown away."""
    parser = argparse.ArgumentParser(description="The CRM, with stand-ins of the outside world")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--check", action="store_true", help="tell what the variables make of it, and start nothing"
    )
    port, checked, *_ = vars(parser.parse_args()).values()
    if checked:
        check()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: all of it ends
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            sys.exit(f"port {port} is taken by another program: choose another")
        told = f"http://127.0.0.1:{port}/ (log in: ana, ana, or v1, v1); Ctrl-C ends it."
        if not os.environ.get("POSTGRES_DSN"):
            server = stack.enter_context(EmbeddedPostgres.temporary())
            os.environ["POSTGRES_DSN"] = server.dsn
            told += f" For other commands: SERENO_DATABASE_URL={server.dsn}"
        asyncio.run(serve(listening, told))


def check() -> NoReturn:
    """Become ``sereno check`` of what the CRM's variables say: to be done before a deploy."""
    found = tables(os.environ)
    own = {
        f"PLUGINS__CRM_JOBS__{key}": value for key, value in found["plugins"]["crm_jobs"].items()
    }
    own |= {"DATABASE_URL": found["database_url"], "MODULES": ",".join(found["modules"])}
    environ = {f"SERENO_{key}".upper(): str(value) for key, value in own.items()}
    command = [sys.executable, "-m", "sereno", "check"]
    os.execve(sys.executable, command, {**environ, **os.environ})


async def serve(listening: socket.socket, told: str) -> None:
    """Serve the CRM, and say so by `told`; raises SystemExit where it cannot start."""
    async with world() as (redis, receiver):
        environ = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis.port),
            "REDIS_PASSWORD": redis.password,
            **os.environ,
        }
        os.environ.setdefault("SERENO_PLUGINS__NOTIFY__WEBHOOKS__CEO__URL", receiver.url)
        config = uvicorn.Config(
            create_app(environ, partial(fill, told)),
            log_level="warning",
            timeout_graceful_shutdown=3,  # an open page of the console ends no sooner
        )
        telling = asyncio.ensure_future(_tell(receiver))
        server = uvicorn.Server(config)
        await server.serve([listening])
        telling.cancel()
    if not server.started:
        sys.exit(1)


async def fill(told: str, node: Sereno) -> None:
    """Have something to look at in an empty database, and people who may log in to look."""
    async with node.client.database() as db:
        if not await db.fetchval("SELECT count(*) FROM crm.seller"):
            await db.execute(DATA.read_text("utf-8"))
            for login in ("ana", "v1"):
                password = "UPDATE crm.seller SET password = $2 WHERE login = $1"
                await db.execute(password, login, salted(login))
    for task in (notification_checks, metrics_refresh, cleanup):
        await node.client_for("start.py").enqueue(task)
    say(told)


async def _tell(receiver: Receiver) -> None:
    """Show what people are told."""
    while True:
        told = await receiver.told.get()
        say(f"the receiver was told: {told.get('title')}")


def say(sentence: str) -> None:
    """Tell whoever started this."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("stopped")
    except SerenoError as fault:
        sys.exit(str(fault))
