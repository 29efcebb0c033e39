"""The commands of ``sereno`` by name: where each lives, and what it does."""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """A command: its attribute `command` stands in ``sereno.cli.<module>``."""

    name: str
    module: str
    summary: str


SECTIONS: dict[str, tuple[Entry, ...]] = {
    "Replicas": (
        Entry("run", "run", "Run a replica: lead or stand by, until it is told to stop."),
        Entry("demo", "demo", "See it work: a database, plugins and work of its own."),
        Entry("check", "check", "Check settings and plugins, and print the next slots."),
        Entry("migrate", "migrate", "Bring the database's schema to this version."),
        Entry("verify", "verify", "Prove that every slot has one verdict."),
        Entry("cluster", "cluster", "Show the replicas, and which of them leads."),
        Entry("plugins", "plugins", "List the plugins, and why one is not loaded."),
    ),
    "Jobs and schedules": (
        Entry("jobs", "jobs", "List the jobs: schedule, next slot, last run."),
        Entry("next", "next_slots", "Print the next slots of a job."),
        Entry("trigger", "trigger", "Queue a run of a job, now or later."),
        Entry("pause", "pause", "Stop a job's schedules from firing."),
        Entry("resume", "resume", "Let them fire again."),
        Entry("schedule", "schedule", "Add, change, remove and list schedules."),
        Entry("audit", "audit", "List who changed what, and why."),
    ),
    "Runs": (
        Entry("runs", "runs", "List the runs, the newest first."),
        Entry("show", "show", "Tell what became of a run, or of a slot of a job."),
        Entry("cancel", "cancel", "Stop a run."),
        Entry("retry", "retry", "Queue a finished run again, with the same params."),
    ),
    "Plugins": (Entry("new-plugin", "scaffold", "Write a new plugin package to begin with."),),
}

ENTRIES: dict[str, Entry] = {e.name: e for entries in SECTIONS.values() for e in entries}
