"""Every error of the kernel, each a sentence with subject, offending value, rule and remedy.

SerenoError
├── ConfigurationError      settings: unknown key, wrong type, missing file          exit code 2
├── TriggerError            a trigger that cannot be read or would never fire        exit code 2
├── DeclarationError        a job or schedule that contradicts itself                exit code 2
├── ParamsError             params that do not fit the job                           exit code 2
├── NotFoundError           no such job, schedule, run                               exit code 2
├── ConflictError           what is there is not in the state that is asked for
├── WaitTimeoutError        a run is not over within the time that its caller waits
├── PluginError             a plugin that cannot be loaded
├── StoreError              the database refused or failed
│   ├── StoreUnavailableError   no connection: worth another try
│   │   ├── StoreRightsError        the role may not do it: worth one once it may
│   │   └── StoreLockedError        others keep a lock that it needs: worth one in a moment
│   ├── SchemaError             migrations missing, changed or newer than the code
│   ├── ClusterError            a copy, of another cluster than the settings name     exit code 2
│   └── PoolerError             a session lock was asked for through a transaction pooler
├── LeaseLostError          this node is not the leader (any more): the term has moved on
├── DeliveryError           a notifier could not deliver: worth another try
│   └── DeliveryRefusedError    and the same again would be refused again
├── EmbeddedError           the embedded PostgreSQL cannot be installed or started
└── RunError
    ├── FinalError          raised by a job: it failed for good, whatever its retry policy says
    ├── Snooze              raised by a job: it puts itself off, which uses up no attempt
    ├── RunCancelled        raised inside a job that has been asked to stop
    └── RunSuperseded       raised by ``run.fence``: the run has another owner
"""


class SerenoError(Exception):
    """The root of the tree; ``str(error)`` is a sentence for a person."""


class ConfigurationError(SerenoError):
    """A setting is unknown, of the wrong type or out of its range.

    Raised by a job it is final: no further attempt is made, as none can mend it.
    """


class TriggerError(SerenoError, ValueError):
    """A trigger cannot be read, is not supported, or would never fire."""


class DeclarationError(SerenoError, ValueError):
    """A job, schedule or policy contradicts itself."""


class ParamsError(SerenoError, ValueError):
    """Params do not fit what the job declares."""


class NotFoundError(SerenoError, LookupError):
    """Nothing of that name or number is known."""


class ConflictError(SerenoError):
    """What is asked for does not fit what is so at this moment; nothing was changed."""


class WaitTimeoutError(SerenoError, TimeoutError):
    """A run is not over within the time that its caller waits; it goes on."""


class PluginError(SerenoError):
    """A plugin cannot be loaded; the others go on."""


class StoreError(SerenoError):
    """The database refused a statement or answered what cannot be."""


class StoreUnavailableError(StoreError):
    """The database is away, starting, full or read-only: the same call may succeed later."""


class StoreRightsError(StoreUnavailableError):
    """The database's role may not do what sereno does; nothing works until it may."""


class StoreLockedError(StoreUnavailableError):
    """Others keep a row or a table locked that a statement needs; nothing of it was done."""


class SchemaError(StoreError):
    """The schema in the database is not the one that this code was written for."""


class ClusterError(StoreError):
    """The database is of another cluster than the settings name: a copy, or the settings' own."""


class PoolerError(StoreError):
    """A session lock means nothing through a transaction pooler."""


class LeaseLostError(SerenoError):
    """The term has moved on: nothing was written."""


class DeliveryError(SerenoError):
    """A notification did not arrive; it is tried again."""


class DeliveryRefusedError(DeliveryError):
    """A notification was refused for good, as for a wrong address or token: no further try."""


class EmbeddedError(SerenoError):
    """The embedded PostgreSQL cannot be installed, started or stopped."""


class RunError(SerenoError):
    """What a job may meet inside its own run."""


class FinalError(RunError):
    """Raised by a job that no further attempt can mend: the user exists, the order is paid."""


class RunCancelled(RunError):  # noqa: N818 - an event that happened to the run, as asyncio's CancelledError
    """The run has been asked to stop."""


class RunSuperseded(RunError):  # noqa: N818 - what happened to the run, and public
    """The run has another owner: roll back, write nothing."""


FINAL = (FinalError, ConfigurationError)
"""What a job raises that is not tried again."""
