"""What is known of Asterisk's tables, and the table in PostgreSQL that each becomes."""

from typing import Literal

import msgspec

Kind = Literal[
    "text", "integer", "bigint", "numeric", "boolean", "date", "timestamp", "json", "uuid"
]
"""What a column of the target is; each is PostgreSQL's type of that name, but json is jsonb."""

FOUND_OUT = "found out"
FORMS = ("iso", "epoch", "epoch_ms")
"""Forms of a time that is a text or a number, the likeliest first."""


class MovedColumn(msgspec.Struct, frozen=True):
    """A column of the target, and the names under which sources have it, the likeliest first."""

    name: str
    kind: Kind = "text"
    names: tuple[str, ...] = ()

    @property
    def known_as(self) -> tuple[str, ...]:
        """Return the names to look for at the source."""
        return self.names or (self.name,)


class MovedTable(msgspec.Struct, frozen=True):
    """How one kind of table is moved.

    `cursor`: the column by whose local time rows are paged. `instant`: the column that gets the
    cursor as an instant. `keys`: sets of columns that tell which row a changed row was, the best
    first, for sources without a primary key. `required`: a source without these is refused.
    `time_format`: of a cursor that is no time by its type, None to refuse it; FOUND_OUT: one of
    FORMS.
    `epoch`: the column whose text begins with the second in UTC at which the channel began: the
    row's own time. `begun`: the same where rows come later than it, which only settles a repeated
    hour. `ids`: columns by which calls and channels are known, which indexes hold.
    """

    name: str
    target: str
    cursor: str
    instant: str
    columns: tuple[MovedColumn, ...]
    keys: tuple[tuple[str, ...], ...]
    required: tuple[str, ...]
    epoch: str | None = None
    begun: str | None = None
    time_format: str | None = FOUND_OUT
    ids: tuple[str, ...] = ()


CDR = MovedTable(
    name="cdr",
    target="ivr.calls",
    cursor="calldate",
    instant="started_at",
    columns=(
        MovedColumn("calldate", "timestamp", ("calldate", "start")),
        *map(MovedColumn, ("clid", "src", "dst", "dcontext", "channel", "dstchannel")),
        *map(MovedColumn, ("lastapp", "lastdata")),
        MovedColumn("duration", "numeric"),  # with fractions where cdr.conf has hrtime
        MovedColumn("billsec", "numeric"),
        *map(MovedColumn, ("disposition", "amaflags", "accountcode", "peeraccount", "userfield")),
        *map(MovedColumn, ("uniqueid", "linkedid")),
        MovedColumn("sequence", "bigint"),
        *map(MovedColumn, ("did", "recordingfile", "cnum", "cnam")),  # FreePBX adds these
        *map(MovedColumn, ("outbound_cnum", "outbound_cnam", "dst_cnam")),
    ),
    keys=(("uniqueid", "linkedid", "sequence"), ("uniqueid", "linkedid"), ("uniqueid",)),
    required=("calldate", "uniqueid"),
    epoch="uniqueid",
    ids=("uniqueid", "linkedid", "channel", "dstchannel"),
)

CEL = MovedTable(
    name="cel",
    target="ivr.channel_events",
    cursor="eventtime",
    instant="happened_at",
    columns=(
        MovedColumn("id", "bigint"),
        MovedColumn("eventtime", "timestamp"),
        *map(MovedColumn, ("eventtype", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid")),
        *map(MovedColumn, ("exten", "context", "channame", "appname", "appdata", "amaflags")),
        *map(MovedColumn, ("accountcode", "uniqueid", "linkedid", "peer", "userdeftype")),
        MovedColumn("extra_text", names=("eventextra", "extra")),
        MovedColumn("userfield"),
    ),
    keys=(("id",),),
    required=("eventtime", "uniqueid"),
    begun="uniqueid",
    ids=("uniqueid", "linkedid", "channame"),
)

QUEUE_LOG = MovedTable(
    name="queue_log",
    target="ivr.queue_events",
    cursor="time",
    instant="happened_at",
    columns=(
        MovedColumn("id", "bigint"),
        MovedColumn("time", "timestamp"),
        *map(MovedColumn, ("callid", "queuename", "agent", "event")),
        *map(MovedColumn, ("data1", "data2", "data3", "data4", "data5")),
    ),
    keys=(("id",),),
    required=("time", "callid", "event"),
    begun="callid",
    ids=("callid", "agent"),
)

KNOWN = {table.name: table for table in (CDR, CEL, QUEUE_LOG)}
