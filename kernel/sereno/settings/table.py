"""Turns a table into a Struct, and says of every key that does not fit where it stands and why."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from sereno.model.errors import DeclarationError, SerenoError
from sereno.model.foreign_names import called_here
from sereno.settings.place import DEFAULT, Key, SettingPlace, SettingPlaces, dotted
from sereno.settings.policy import POLICIES, read_policy
from sereno.settings.rule import convert
from sereno.settings.secret import hidden

S = TypeVar("S", bound=msgspec.Struct)
Fields = dict[str, msgspec.structs.FieldInfo]


class Reader(msgspec.Struct):
    """Reads tables whose keys were set at `origin`; keeps a sentence for each fault it meets.

    `everything`: the keys among which a mistyped variable or flag is looked for.
    """

    origin: SettingPlaces
    everything: Sequence[Key] = ()
    problems: list[str] = []

    def struct(self, table: Any, wanted: type[S], key: Key) -> S | None:
        """Return `table`, which stands at `key`, as `wanted`; None when it has problems.

        A Struct with a field `policies` takes policies as keys beside its own.
        """
        if not self._is_table(table, key):
            return None
        before = len(self.problems)
        fields = _fields(wanted)
        takes_policies = fields.pop("policies", None) is not None
        known = [*fields, *(POLICIES if takes_policies else ())]
        values: dict[str, Any] = {}
        policies: dict[str, Any] = {}
        for name, value in table.items():
            at = (*key, name)
            if name not in known:
                self._unknown(at, value, [(*key, other) for other in known])
            elif name in fields:
                values[fields[name].name] = self._value(value, fields[name].type, at)
            else:
                policies[name] = self._policy(name, value, at)
        self._check_required(fields, table, key)
        if takes_policies:
            values["policies"] = policies
        return self._built(wanted, values, key) if len(self.problems) == before else None

    def fault(self, key: Key, sentence: str) -> None:
        """Keep a fault of what stands at `key`."""
        place = self.origin.place(key)
        self.problems.append(sentence if place is DEFAULT else f"{place.text}: {sentence}")

    def _unknown(self, key: Key, value: Any, known: Sequence[Key]) -> None:
        place = self.origin.place(key)
        hint = place.near(key, self.everything if place.lax and len(key) == 1 else known)
        if key[0] in ("jobs", "schedules"):
            hint = called_here(str(key[-1])) or hint
        if key[0] == "jobs" and isinstance(value, Mapping):  # [jobs.etl.sync] is two tables deep
            whole = ".".join(str(part) for part in key[1:])
            hint = f'; a job\'s name stands in quotes: [jobs."{whole}"]'
        self.fault(key, f"unknown key '{key[-1]}'{hint}")

    def _value(self, value: Any, declared: Any, key: Key) -> Any:
        if _is_struct(declared):
            return self.struct(value, declared, key)
        if get_origin(declared) is dict and isinstance(value, Mapping):
            return self._entries(value, get_args(declared)[1], key)
        place = self.origin.place(key)
        try:
            return convert(value, declared, lax=place.lax)
        except ValueError as error:
            self.fault(key, f"{dotted(key)} is {_shown(key, value)}, {error}")
            return None

    def _entries(self, table: Mapping[str, Any], inner: Any, key: Key) -> dict[str, Any]:
        if inner is Any:
            return dict(table)
        return {name: self._value(item, inner, (*key, name)) for name, item in table.items()}

    def _is_table(self, value: Any, key: Key) -> bool:
        if isinstance(value, Mapping):
            return True
        self.fault(key, f"{dotted(key)} is {_shown(key, value)}, it must be a table")
        return False

    def _policy(self, name: str, value: Any, key: Key) -> Any:
        place = self.origin.place(key)
        try:
            return read_policy(name, value, f"{place.text}: [{dotted(key[:-1])}]", lax=place.lax)
        except DeclarationError as error:
            self.problems.append(str(error))
            return None

    def _check_required(self, fields: Fields, table: Mapping[str, Any], key: Key) -> None:
        for name, info in fields.items():
            if info.required and name not in table:
                variable = SettingPlace("environment", "").spelled((*key, name))
                remedy = f"set it there or as {variable}"
                self.fault(key, f"[{dotted(key)}] wants the key '{name}'; {remedy}")

    def _built(self, wanted: type[S], values: dict[str, Any], key: Key) -> S | None:
        try:
            return wanted(**values)
        except (ValueError, TypeError, SerenoError) as error:
            subject = f"[{dotted(key)}] " if key else ""
            self.fault(key, f"{subject}{error}")
            return None


def _fields(wanted: type[msgspec.Struct]) -> Fields:
    return {f.encode_name: f for f in msgspec.structs.fields(wanted) if f.type is not SettingPlaces}


def _shown(key: Key, value: Any) -> str:
    return (
        value.isoformat() if isinstance(value, date | time) else repr(hidden(str(key[-1]), value))
    )


def _is_struct(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, msgspec.Struct)
