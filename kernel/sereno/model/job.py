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
from sereno.model.executor_rule import check_call, check_executor, check_known
from sereno.model.foreign_names import hint
from sereno.model.hand_on import ParamSource, checked_sources, param_source
from sereno.model.params_rule import params_rule
from sereno.model.policies import (
    POLICY_NAMES,
    Policies,
    checked,
    checked_of_schedule,
)
from sereno.model.policy_types import JobPolicies
from sereno.model.registrable import check_json, check_text
from sereno.model.schedule import Declared, Schedule, SlotSource, is_trigger
from sereno.model.scope import check_scope
from sereno.model.secret import secret_fields
from sereno.model.suggestion import suggestion
from sereno.model.text import shortened
from sereno.model.titles import checked_runbook, checked_tags, checked_title
from sereno.model.type_variables import J

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_MAX_NAME = 120
MAX_DESCRIPTION = 2_000
_KEYS = (
    *("schedule", "after", "params", "params_from", "description"),
    *("title", "owner", "runbook", "tags"),
)


class Job(msgspec.Struct, Generic[J], frozen=True, kw_only=True):
    """A named piece of work.

    `function` takes a RunContext and returns what JSON can hold (or None). `after`: names of jobs;
    once all of them have succeeded, a run of this one is queued with their results, and with the
    params that it takes from them: `params_from`, as ``{"since": "result.highest"}``. `params`: the
    msgspec.Struct that a run's params must fit; None takes any JSON object. `unscheduled`: why it
    has no schedule where one would expect it, for `sereno check`. `title`, `owner`,
    `runbook` (a link): what people know it by; its runs are found by `tags`.
    """

    name: str
    function: Callable[..., Any]
    schedules: tuple[Schedule, ...] = ()
    policies: Policies = Policies()
    after: tuple[str, ...] = ()
    params: type[J] | None = None
    params_from: tuple[tuple[str, str], ...] = ()
    description: str = ""
    unscheduled: str = ""
    title: str = ""
    owner: str = ""
    runbook: str = ""
    tags: tuple[str, ...] = ()

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

    def titled(
        self,
        *,
        title: str | None = None,
        owner: str | None = None,
        runbook: str | None = None,
        tags: Iterable[str] | None = None,
    ) -> "Job[J]":
        """Return this job with what is not None of these; raises DeclarationError."""
        subject, job = f"job '{self.name}'", self
        if title is not None:
            job = replace(job, title=checked_title(title, "title", subject))
        if owner is not None:
            job = replace(job, owner=checked_title(owner, "owner", subject))
        if runbook is not None:
            job = replace(job, runbook=checked_runbook(runbook, subject))
        if tags is not None:
            job = replace(job, tags=checked_tags(tags, subject))
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
        check_known(executor, subject)
        check_call(self.function, executor, subject)
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
        check_known(self.policies.executor, subject)
        check_call(self.function, self.policies.executor, subject)
        check_scope(self.policies, subject)
        self._check_unique_by(subject)
        limit = self.policies.concurrency_limit
        if limit != 1 and self.policies.concurrency_key is None:
            raise DeclarationError(
                f"{subject}: concurrency has the limit {limit} and no key; give it one, as"
                ' "pbx-{site}", or set max_running for the job as a whole'
            )
        if self.after:  # a run after another has the params that it takes from there
            given = dict.fromkeys(self.sources, "")
            self.check_concurrency_key(given, {}, f"{subject}, after {', '.join(self.after)}")

    @property
    def sources(self) -> dict[str, ParamSource]:
        """Return where each param of a chained run comes from; raises DeclarationError."""
        subject = f"job '{self.name}'"
        return {
            name: param_source(name, text, self.after, subject) for name, text in self.params_from
        }

    def _check_unique_by(self, subject: str) -> None:
        """Raise DeclarationError where unique_by names what no run has, or what is not kept."""
        names: Any = self.policies.unique_by or ()
        kind: Any = self.params
        known = None if kind is None else [f.encode_name for f in fields(kind)]
        for name in names:
            if known is not None and name not in known:
                hint = suggestion(name, known, f"; it takes {', '.join(known)}")
                raise DeclarationError(f"{subject}: unique_by: unknown param '{name}'{hint}")
            if name in self.secrets:
                raise DeclarationError(
                    f"{subject}: unique_by: param '{name}' is secret, and a key that is kept "
                    "cannot be made of it; leave it out"
                )

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
        self.titled(title=self.title, owner=self.owner, runbook=self.runbook, tags=self.tags)
        if not isinstance(self.policies, Policies):
            raise DeclarationError(f"{subject}: {self.policies!r:.100} are no Policies")
        checked(asdict(self.policies), subject)
        for upstream in self.after:
            _check_name(upstream, f"{subject}: after is ")
        _ = self.sources
        check_json(subject, "params_from", dict(self.params_from))
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
    params_from: Mapping[str, str] | None = None,
    description: str = "",
    title: str = "",
    owner: str = "",
    runbook: str = "",
    tags: Iterable[str] = (),
    timeout: str | float | timedelta | None = None,
    **policies: Any,
) -> Callable[[Callable[..., Any]], Job[Any]]:
    """Declare the decorated function as a job.

    `policies`: the fields of `Policies`, durations as text ("5m"), seconds or timedelta; `retry` is
    a number of attempts, the first one too (Celery's max_retries=3 is retry=4). An ``async
    def`` runs in the event loop, a plain function in a thread, unless `executor` says otherwise.
    Raises DeclarationError.
    """
    if not isinstance(name, str):
        raise DeclarationError(
            f"@job: {spoken(name)} is no name; write @job('cleanup.sessions') above the function"
        )
    _check_name(name)
    for key in policies:
        if key not in POLICY_NAMES:
            known = [*_KEYS, *POLICY_NAMES]
            raise DeclarationError(f"job '{name}': unknown key '{key}'{hint(key, known)}")
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
        check_executor(function, chosen["executor"], subject)
        found: Job[Any] = Job(
            name=name,
            function=function,
            schedules=_schedules(name, () if schedule is None else schedule),
            policies=Policies().changed(chosen, subject),
            after=upstream,
            params=params,
            params_from=checked_sources(params_from, upstream, subject),
            description=description or _first_sentence(function),
        ).titled(title=title, owner=owner, runbook=runbook, tags=tags)
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
