"""What is known of Asterisk's tables, and the table in PostgreSQL that each becomes."""

from typing import Literal

import msgspec

Kind = Literal[
    "text", "integer", "bigint", "numeric", "boolean", "date", "timestamp", "json", "uuid"
]
"""What a column of the target is; each is PostgreSQL's type of that name, but json is jsonb."""


class Column(msgspec.Struct, frozen=True):
    """A column of the target, and the names under which sources have it, the likeliest first."""

    name: str
    kind: Kind = "text"
    names: tuple[str, ...] = ()

    @property
    def known_as(self) -> tuple[str, ...]:
        """Return the names to look for at the source."""
        return self.names or (self.name,)


class Table(msgspec.Struct, frozen=True):
    """How one kind of table is moved.

    `cursor`: the column by whose local time rows are paged. `instant`: the column that gets the
    cursor as an instant. `keys`: sets of columns that tell which row a changed row was, the best
    first, for sources without a primary key. `required`: a source without these is refused.
    `time_format`: of a cursor that is no time by its type, None to refuse it.
    `epoch`: the column whose text begins with the second in UTC at which the channel began.
    """

    name: str
    target: str
    cursor: str
    instant: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    required: tuple[str, ...]
    epoch: str | None = None
    time_format: str | None = "iso"


CDR = Table(
    name="cdr",
    target="ivr.calls",
    cursor="calldate",
    instant="started_at",
    columns=(
        Column("calldate", "timestamp", ("calldate", "start")),
        *map(Column, ("clid", "src", "dst", "dcontext", "channel", "dstchannel")),
        *map(Column, ("lastapp", "lastdata")),
        Column("duration", "numeric"),  # with fractions where cdr.conf has hrtime
        Column("billsec", "numeric"),
        *map(Column, ("disposition", "amaflags", "accountcode", "peeraccount", "userfield")),
        *map(Column, ("uniqueid", "linkedid")),
        Column("sequence", "bigint"),
        *map(Column, ("did", "recordingfile", "cnum", "cnam")),  # FreePBX adds these
        *map(Column, ("outbound_cnum", "outbound_cnam", "dst_cnam")),
    ),
    keys=(("uniqueid", "linkedid", "sequence"), ("uniqueid", "linkedid"), ("uniqueid",)),
    required=("calldate", "uniqueid"),
    epoch="uniqueid",
)

CEL = Table(
    name="cel",
    target="ivr.channel_events",
    cursor="eventtime",
    instant="happened_at",
    columns=(
        Column("id", "bigint"),
        Column("eventtime", "timestamp"),
        *map(Column, ("eventtype", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid")),
        *map(Column, ("exten", "context", "channame", "appname", "appdata", "amaflags")),
        *map(Column, ("accountcode", "uniqueid", "linkedid", "peer", "userdeftype")),
        Column("extra_text", names=("eventextra", "extra")),
        Column("userfield"),
    ),
    keys=(("id",),),
    required=("eventtime", "uniqueid"),
)

QUEUE_LOG = Table(
    name="queue_log",
    target="ivr.queue_events",
    cursor="time",
    instant="happened_at",
    columns=(
        Column("id", "bigint"),
        Column("time", "timestamp"),
        *map(Column, ("callid", "queuename", "agent", "event")),
        *map(Column, ("data1", "data2", "data3", "data4", "data5")),
    ),
    keys=(("id",),),
    required=("time", "callid", "event"),
)

KNOWN = {table.name: table for table in (CDR, CEL, QUEUE_LOG)}
