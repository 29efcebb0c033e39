"""What goes wrong at either end, each a sentence with the place, the fault and the remedy.

RunError (of sereno)
├── SourceError             the source refused a statement, or is not what a sync needs
│   ├── SourceAwayError     no connection, or one that broke: worth another try
│   └── SourceRowError      the source's server raised at some row of a range
├── TargetError             the target refused a statement
│   └── TargetAwayError     no connection, a deadlock, a lock not granted: worth another try
└── RejectsError            more rows could not be loaded than the settings allow
"""

from sereno import RunError


class SourceError(RunError):
    """The source refused a statement, or is not what a sync needs."""


class SourceAwayError(SourceError):
    """The source cannot be reached, or the connection to it broke."""


class SourceRowError(SourceError):
    """The source's own server raised at some row of what it was to read."""


class TargetError(RunError):
    """The target refused a statement."""


class TargetAwayError(TargetError):
    """The target cannot be reached now, or gave way to another transaction."""


class RejectsError(RunError):
    """More rows could not be loaded than the settings allow."""
