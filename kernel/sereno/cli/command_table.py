"""The commands of ``sereno`` by name: where each lives, and what it does."""

import msgspec


class CommandEntry(msgspec.Struct, frozen=True):
    """A command: its attribute `command` stands in ``sereno.cli.<module>``."""

    name: str
    module: str
    summary: str


SECTIONS: dict[str, tuple[CommandEntry, ...]] = {
    "Replicas": (
        CommandEntry("run", "run", "Run a replica: lead or stand by, until it is told to stop."),
        CommandEntry("apps", "apps", "Serve the apps of plugins, without a replica."),
        CommandEntry("demo", "demo", "See it work: a database, plugins and work of its own."),
        CommandEntry("check", "check", "Check settings and plugins, and print the next slots."),
        CommandEntry("migrate", "migrate", "Bring the database's schema to this version."),
        CommandEntry("grants", "grants", "Print or apply what a database role must be granted."),
        CommandEntry("verify", "verify", "Prove that every slot has one verdict."),
        CommandEntry("rehearse", "rehearse", "Play the coming days: what would wait or be late."),
        CommandEntry("cluster", "cluster", "Show the replicas, and which of them leads."),
        CommandEntry("lead", "lead", "Hand the lead to a replica."),
        CommandEntry("drain", "drain", "Have a replica take no part, until it is undone."),
        CommandEntry("maintenance", "maintenance", "Have all replicas rest, with a reason."),
        CommandEntry(
            "new-cluster", "new_cluster", "Make a copy of a database a cluster of its own."
        ),
        CommandEntry("support", "support", "Write a file that tells others how things stand."),
        CommandEntry("plugins", "plugins", "List the plugins, and why one is not loaded."),
    ),
    "Jobs and schedules": (
        CommandEntry("jobs", "jobs", "List the jobs: schedule, next slot, last run."),
        CommandEntry("next", "next_slots", "Print the next slots of a job."),
        CommandEntry("trigger", "trigger", "Queue a run of a job, now or later."),
        CommandEntry("pause", "pause", "Stop a job's schedules from firing."),
        CommandEntry("resume", "resume", "Let them fire again."),
        CommandEntry("schedule", "schedule", "Add, change, remove and list schedules."),
        CommandEntry("calendar", "calendar", "Days that schedules share, such as holidays."),
        CommandEntry("blackout", "blackout", "Have no slot run for a while, with a reason."),
        CommandEntry("audit", "audit", "List who changed what, and why."),
    ),
    "Runs": (
        CommandEntry("runs", "runs", "List the runs, the newest first."),
        CommandEntry("show", "show", "Tell what became of a run, or of a slot of a job."),
        CommandEntry("logs", "logs", "Print what runs have said, and follow what they say."),
        CommandEntry("cancel", "cancel", "Stop a run, or every run that a filter is of."),
        CommandEntry("retry", "retry", "Queue finished runs again, with the same params."),
        CommandEntry("backfill", "backfill", "Run slots that were missed or never due."),
        CommandEntry("backfills", "backfills", "List the back-fills, and stop one."),
        CommandEntry("bulks", "bulks", "List the changes of many runs, and stop one."),
    ),
    "Plugins": (
        CommandEntry("new-plugin", "scaffold", "Write a new plugin package to begin with."),
    ),
}

ENTRIES: dict[str, CommandEntry] = {e.name: e for entries in SECTIONS.values() for e in entries}
