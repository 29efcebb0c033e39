"""The settings of a node that only works for another one's cluster, as an executor elsewhere has it
do: the same jobs and database, and nothing that belongs to the other one's place."""

from msgspec.structs import replace

from sereno.settings import Settings

_BARE = Settings()


def worker_settings(settings: Settings, dsn: str) -> Settings:
    """Return what ``Sereno(...)`` makes such a node of. `dsn`: where the database is."""
    return replace(
        settings,
        database_url=dsn,
        data_dir=None,
        node_name=None,
        node_labels=(),
        host_id=None,
        leads=False,
        offers=(),
        http=replace(_BARE.http, enabled=False),
        apps=replace(_BARE.apps, enabled=False),
    )
