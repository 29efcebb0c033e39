"""Copies of a PostgreSQL server, from a base backup and its log, at a point in time."""

from .connections import kept
from .postgres import PostgresServer
from .waiting import wait_until


class Archive:
    """Where `server` keeps its log of writes and one base backup; it is started again for that."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._place = server.place / "archive"
        server.run("mkdir", "-p", self._place / "wal")
        self._before = dict(server.options)
        keep = {"archive_mode": "on", "archive_command": f"cp %p {self._place}/wal/%f"}
        server.options.update(keep)
        server.stop()
        server.start()

    def back_up(self) -> None:
        """Copy all of the server while it works."""
        place = self._place / "base"
        self._server.run("pg_basebackup", "-D", place, "-c", "fast", "-d", self._server.dsn())

    def mark(self, name: str) -> None:
        """Name this moment, and have the log until here archived."""
        self._server.execute(f"SELECT pg_create_restore_point('{name}')")

    def flush(self) -> None:
        """Return once what was written until now is in the archive."""
        connection = kept(self._server.dsn())
        last = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        archived = 'SELECT last_archived_wal COLLATE "C" >= %s FROM pg_stat_archiver'
        wait_until(lambda: connection.execute(archived, last).fetchone() == (True,), f"{last}")

    def restored(self, name: str, *, over: PostgresServer | None = None) -> PostgresServer:
        """Return a started server with what there was when `name` was marked: a new one, or `over`,
        which has ended and loses what it had."""
        found = over or PostgresServer(self._server.programs, self._before)
        try:
            found.run("rm", "-rf", found.data)
            found.run("cp", "-a", self._place / "base", found.data)
            self._recover(found, name)
            found.start()
        except BaseException:
            found.remove()
            raise
        return found

    def _recover(self, server: PostgresServer, name: str) -> None:
        settings = {
            "restore_command": f"cp {self._place}/wal/%f %p",
            "recovery_target_name": name,
            "recovery_target_action": "promote",
        }
        lines = "".join(f"{key} = '{value}'\n" for key, value in settings.items())
        with (server.data / "postgresql.auto.conf").open("a") as conf:
            conf.write(lines)
        server.run("touch", server.data / "recovery.signal")
