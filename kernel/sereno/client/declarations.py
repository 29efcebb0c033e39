"""Knows the jobs that plugins and configuration declare here, beside the database."""

from collections.abc import Callable, Mapping

from sereno.model.errors import NotFoundError
from sereno.model.job import Job


class Declarations:
    """Jobs by name. `jobs`: all of them, or what returns them when one is first needed, as loading
    plugins takes a while. `known`: those alone against which params are checked before the database
    does; what was not loaded is left to it."""

    def __init__(self, jobs: Mapping[str, Job] | Callable[[], Mapping[str, Job]]) -> None:
        self._jobs: Mapping[str, Job] | None = jobs if isinstance(jobs, Mapping) else None
        self._load: Callable[[], Mapping[str, Job]] | None = None
        if not isinstance(jobs, Mapping):
            self._load = jobs

    @property
    def known(self) -> Mapping[str, Job]:
        """Return the jobs that are loaded already."""
        return {} if self._jobs is None else self._jobs

    def job(self, name: str) -> Job:
        """Return the job as it is declared here; raises NotFoundError, and as plugins do."""
        if self._jobs is None and self._load is not None:
            self._jobs = self._load()
        found = self.known.get(name)
        if found is None:
            raise NotFoundError(
                f"job '{name}' is not declared here: install the plugin that does, or work where "
                "it is installed; `sereno plugins` shows which are"
            )
        return found
