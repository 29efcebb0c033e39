"""What one call of ``sereno`` works with: global options, settings, plugins, the database's URL."""

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sereno.model.lazy import lazy
from sereno.plugins import Plugins, Registry, collect, load_plugins
from sereno.settings import EMBEDDED, EMBEDDED_DEMO, Settings, load_settings


@dataclass
class Invocation:
    """One call, and what the commands of plugins find as ``ctx.obj``.

    `flags`: dotted settings that flags gave. `own_process`: it is all that this process is for.
    `additions`: commands of plugins, once asked for; `command_faults`: what kept one from adding
    its own. `resources`: left when the call ends.
    """

    config: Path | None = None
    debug: bool = False
    own_process: bool = False
    flags: dict[str, Any] = field(default_factory=dict)
    additions: dict[str, Any] | None = None
    command_faults: list[str] = field(default_factory=list)
    resources: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def settings(self) -> Settings:
        """Return the settings; raises ConfigurationError."""
        return load_settings(file=self.config, environ=os.environ, flags=self.flags)

    @cached_property
    def plugins(self) -> Plugins:
        """Return the plugins, imported and not asked for anything yet."""
        return load_plugins(self.settings)

    @cached_property
    def registry(self) -> Registry:
        """Return what the plugins and the configuration declare; raises ConfigurationError."""
        return collect(self.plugins, self.settings)

    @cached_property
    def database_url(self) -> str:
        """Return the database's URL; where it is the embedded one, join it until the call ends."""
        url = self.settings.database_url
        if not self.is_embedded:
            return url
        server = self.resources.enter_context(self.embedded)
        dsn: str = server.demo_dsn if url == EMBEDDED_DEMO else server.dsn
        return dsn

    @property
    def is_embedded(self) -> bool:
        """Tell whether the database is on the embedded PostgreSQL."""
        return self.settings.database_url in (EMBEDDED, EMBEDDED_DEMO)

    @cached_property
    def embedded(self) -> Any:
        """Return the EmbeddedPostgres of these settings, not entered."""
        # A command that asks a server by its address does without it.
        return lazy("sereno.embedded").EmbeddedPostgres(self.settings.data_dir)
