"""What a plugin declares: a function with a name, its schedules and its policies."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Generic, Unpack

import msgspec
from msgspec.structs import asdict, fields, replace

from sereno.model.call import explained
from sereno.model.concurrency import concurrency_key
from sereno.model.declaration import check_function, check_params, checked_upstream, spoken
from sereno.model.errors import DeclarationError, ParamsError
from sereno.model.params_rule import params_rule
from sereno.model.policies import EXECUTORS, Policies, checked, checked_of_schedule
from sereno.model.policy_types import JobPolicies
from sereno.model.registrable import check_json, check_text
from sereno.model.schedule import Declared, Schedule, SlotSource, is_trigger
from sereno.model.secret import secret_fields
from sereno.model.suggestion import suggestion
from sereno.model.text import shortened
from sereno.model.type_variables import J

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_MAX_NAME = 120
MAX_DESCRIPTION = 2_000
_KEYS = ("schedule", "after", "params", "description")
_POLICIES = tuple(f.name for f in fields(Policies))


class Job(msgspec.Struct, Generic[J], frozen=True, kw_only=True):
    """A named piece of work.

    `function` takes a RunContext and returns what JSON can hold (or None). `after`: names of jobs;
    once all of them have succeeded, a run of this one is queued with their results. `params`: the
    msgspec.Struct that a run's params must fit; None takes any JSON object. `unscheduled`: why it
    has no schedule where one would expect it, for `sereno check`.
    """

    name: str
    function: Callable[..., Any]
    schedules: tuple[Schedule, ...] = ()
    policies: Policies = Policies()
    after: tuple[str, ...] = ()
    params: type[J] | None = None
    description: str = ""
    unscheduled: str = ""

    def changed(
        self,
        *,
        schedule: Declared[Any] | None = None,
        unscheduled: str = "",
        **policies: Unpack[JobPolicies],
    ) -> "Job[J]":
        """Return this job with another schedule or other policies, as settings may demand.

        `unscheduled`: which setting is missing for a schedule, as "plugins.x.url is not set".
        """
        job = replace(self, unscheduled=unscheduled) if unscheduled else self
        if schedule is not None:
            job = replace(job, schedules=_schedules(self.name, schedule))
        if policies:
            job = replace(job, policies=job.policies.changed(dict(policies), f"job '{self.name}'"))
        return job

    def checked_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return `params` as plain JSON values with the Struct's defaults filled in.

        Raises ParamsError, naming job, param and rule.
        """
        kind: Any = self.params
        if kind is None:
            return dict(params)
        known = [f.encode_name for f in fields(kind)]
        if unknown := set(params).difference(known):
            hint = suggestion(min(unknown), known, f"; it takes {', '.join(known)}")
            raise ParamsError(f"job '{self.name}': unknown param '{min(unknown)}'{hint}")
        try:
            value = msgspec.convert(dict(params), kind, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise ParamsError(f"job '{self.name}': params do not fit: {error}") from error
        return dict(msgspec.to_builtins(value))

    def checked_policies(self, overrides: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """Return what one of its schedules overrides of its policies, as plain JSON values.

        Raises DeclarationError, which begins with `subject`.
        """
        found = checked_of_schedule(dict(overrides), subject)
        executor = found.get("executor", self.policies.executor)
        _check_executor(self.function, executor, subject)
        return dict(msgspec.to_builtins(found))

    def check_concurrency_key(
        self, params: Mapping[str, Any], overrides: Mapping[str, Any], subject: str
    ) -> None:
        """Raise DeclarationError where the concurrency_key that a schedule's runs follow names a
        param that they do not have. Both are checked otherwise."""
        template = overrides.get("concurrency_key", self.policies.concurrency_key)
        if template is not None:
            try:
                concurrency_key(template, params)
            except DeclarationError as error:
                raise DeclarationError(f"{subject}: {error}") from error

    def check(self) -> None:
        """Raise DeclarationError where function, policies and chain contradict each other, and
        where the database could not keep what is declared."""
        _check_name(self.name)
        subject = f"job '{self.name}'"
        self._check_parts(subject)
        _check_executor(self.function, self.policies.executor, subject)
        if self.after:  # a run after another is queued without params
            self.check_concurrency_key({}, {}, f"{subject}, after {', '.join(self.after)}")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the names of the params that are secret."""
        kind: Any = self.params
        return secret_fields(kind)

    def _check_parts(self, subject: str) -> None:
        """Look at each part as if nobody had: a Job may be made without `job`."""
        if not callable(self.function):
            raise DeclarationError(f"{subject}: {self.function!r:.100} is no function")
        check_text(subject, "its description", self.description, MAX_DESCRIPTION)
        if not isinstance(self.policies, Policies):
            raise DeclarationError(f"{subject}: {self.policies!r:.100} are no Policies")
        checked(asdict(self.policies), subject)
        for upstream in self.after:
            _check_name(upstream, f"{subject}: after is ")
        try:
            rule = self.params_rule()
        except Exception as error:  # of msgspec, or of the Struct's own types
            raise DeclarationError(
                f"{subject}: its params cannot be described as JSON: {error!s:.300}"
            ) from error
        check_json(subject, "the names of its params", rule)
        for one in self.schedules:
            if not isinstance(one, Schedule):
                raise DeclarationError(f"{subject}: {one!r:.100} is no Schedule")
            one.check(self.name)

    def params_rule(self) -> dict[str, Any] | None:
        """Return what ``sereno.enqueue`` holds params to: of each its JSON type, whether it is
        required, and its limits."""
        if self.params is None:
            return None
        kind: Any = self.params
        if not (inspect.isclass(kind) and issubclass(kind, msgspec.Struct)):
            raise TypeError(f"{self.params!r:.100} is no msgspec.Struct")
        return params_rule(kind)


@explained
def job(
    name: str,
    *,
    schedule: Declared[Any] | None = None,
    after: str | Iterable[str] = (),
    params: type[msgspec.Struct] | None = None,
    description: str = "",
    timeout: str | float | timedelta | None = None,
    **policies: Any,
) -> Callable[[Callable[..., Any]], Job[Any]]:
    """Declare the decorated function as a job.

    `policies`: the fields of `Policies`, durations as text ("5m"), seconds or timedelta. An ``async
    def`` runs in the event loop, a plain function in a thread, unless `executor` says otherwise.
    Raises DeclarationError.
    """
    if not isinstance(name, str):
        raise DeclarationError(
            f"@job: {spoken(name)} is no name; write @job('cleanup.sessions') above the function"
        )
    _check_name(name)
    for key in policies:
        if key not in _POLICIES:
            known = [*_KEYS, *_POLICIES]
            hint = suggestion(key, known)
            raise DeclarationError(f"job '{name}': unknown key '{key}'{hint}")
    subject = f"job '{name}'"
    check_params(params, subject)
    upstream = checked_upstream(after, subject)

    def declare(function: Callable[..., Any]) -> Job[Any]:
        check_function(function, subject)
        chosen = dict(policies)
        if timeout is not None:
            chosen["timeout"] = timeout
        if "executor" not in chosen:
            chosen["executor"] = "async" if inspect.iscoroutinefunction(function) else "thread"
        _check_executor(function, chosen["executor"], subject)
        found: Job[Any] = Job(
            name=name,
            function=function,
            schedules=_schedules(name, () if schedule is None else schedule),
            policies=Policies().changed(chosen, subject),
            after=upstream,
            params=params,
            description=description or _first_sentence(function),
        )
        for one in found.schedules:
            _check_scheduled(found, one)
        return found

    return declare


def _check_scheduled(job: Job[Any], schedule: Schedule) -> None:
    """Raise DeclarationError where a schedule's params do not fit the job's Struct."""
    try:
        job.checked_params(schedule.params)
    except ParamsError as error:
        of = f"schedule '{schedule.name(job.name)}': " if schedule.label else ""
        raise DeclarationError(f"{of}{error}") from error
    except NameError:  # a type that stands further down in its module
        return


def _check_name(name: object, before: str = "") -> None:
    if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"{before}job '{name!s:.200}': a name is lower-case words joined by dots, as "
            f"'cleanup.sessions', of at most {_MAX_NAME} characters"
        )


def _check_executor(function: Callable[..., Any], executor: str, subject: str) -> None:
    if executor not in EXECUTORS:
        hint = suggestion(executor, EXECUTORS)
        raise DeclarationError(f"{subject}: unknown executor '{executor}'{hint}")
    _check_call(function, executor, subject)


def _check_call(function: Callable[..., Any], executor: Any, subject: str) -> None:
    name = getattr(function, "__qualname__", repr(function))
    if executor == "async" and not inspect.iscoroutinefunction(function):
        raise DeclarationError(
            f"{subject}: executor 'async' wants an async def, {spoken(function)} is a "
            "plain function; choose 'thread' or 'process'"
        )
    if executor == "process" and "<" in name:
        raise DeclarationError(
            f"{subject}: executor 'process' finds its function by name, and "
            f"{name} is made inside another; move it to the module's top level"
        )


def _schedules(name: str, declared: Declared[Any]) -> tuple[Schedule, ...]:
    if isinstance(declared, Schedule):
        declared = (declared,)
    elif is_trigger(declared):
        declared = (Schedule(trigger=declared),)
    elif isinstance(declared, str):
        raise DeclarationError(
            f"job '{name}': schedule is the text {declared!r}; "
            f"write cron({declared!r}) or every(...)"
        )
    elif not isinstance(declared, Iterable):
        raise _no_schedule(name, declared)
    found = tuple(_schedule(name, one) for one in declared)
    labels = [s.label for s in found]
    if len(labels) != len(set(labels)):
        raise DeclarationError(
            f"job '{name}': several schedules want a label each, to be told apart; "
            f"given are {labels}"
        )
    return found


def _schedule(name: str, declared: SlotSource | Schedule) -> Schedule:
    if isinstance(declared, Schedule):
        return declared
    if not is_trigger(declared):
        raise _no_schedule(name, declared)
    return Schedule(trigger=declared)


def _no_schedule(name: str, declared: object) -> DeclarationError:
    return DeclarationError(
        f"job '{name}': schedule is {spoken(declared)}, it must be a trigger, as "
        "cron('0 8 * * *') or every('6h'), or a list of them"
    )


def _first_sentence(function: Callable[..., Any]) -> str:
    text = inspect.getdoc(function) or ""
    first = shortened(text, MAX_DESCRIPTION // 2).split("\n\n", maxsplit=1)[0]
    return first.replace("\n", " ").strip()


def name_of(job: Job | str) -> str:
    """Return the name of a job that is told by it, or as it was declared."""
    return job if isinstance(job, str) else job.name
