"""Counts what a regular expression does: an interpreter of the patterns of `re`, which see nothing
of their own work. It gives the same matches, and a step is one look at one character."""

import re
from collections.abc import Iterator
from typing import Any

PARSER: Any = re._parser  # type: ignore[attr-defined] - nothing public tells what a pattern says
_END = PARSER.MAXREPEAT


class Counted:
    """A compiled pattern that counts the characters it looks at in `steps`."""

    steps = 0

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self._tree = PARSER.parse(pattern.pattern, pattern.flags)
        self._flags = pattern.flags

    def match(self, text: str, pos: int = 0, endpos: int | None = None) -> re.Match[str] | None:
        end = len(text) if endpos is None else endpos
        found = self._pattern.match(text, pos, end)
        self._walk(text, pos, end, found)
        return found

    def search(self, text: str, pos: int = 0, endpos: int | None = None) -> re.Match[str] | None:
        end = len(text) if endpos is None else endpos
        found = self._pattern.search(text, pos, end)
        for start in range(pos, (end if found is None else found.start()) + 1):
            self._walk(text, start, end, found if found and found.start() == start else None)
        return found

    def sub(self, replacement: Any, text: str) -> str:
        at = 0
        while at <= len(text) and (found := self.search(text, at)) is not None:
            at = max(found.end(), at + 1)
        return self._pattern.sub(replacement, text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        self.sub("", text)
        return self._pattern.finditer(text)

    def findall(self, text: str) -> list[Any]:
        self.sub("", text)
        return self._pattern.findall(text)

    def _walk(self, text: str, start: int, end: int, found: re.Match[str] | None) -> None:
        walk = _Walk(text, end, self._flags)
        reached = next(walk.through(list(self._tree), start, {}), None)
        Counted.steps += walk.steps
        assert (reached is None) == (found is None), (self._pattern.pattern, text[start:][:60])
        assert found is None or reached == (found.end()), (self._pattern.pattern, found)


class _Walk:
    def __init__(self, text: str, end: int, flags: int) -> None:
        self.text, self.end, self.flags, self.steps = text, end, flags, 0

    def through(self, items: list[Any], at: int, groups: dict[int, Any]) -> Iterator[int]:
        """Yield where `items` may end that begin at `at`, in the order in which `re` tries."""
        if not items:
            yield at
            return
        (what, given), rest = items[0], items[1:]
        for here in getattr(self, "_" + str(what).lower())(given, at, groups):
            yield from self.through(rest, here, groups)

    def _one(self, fits: Any, at: int) -> Iterator[int]:
        self.steps += 1
        if at < self.end and fits(self.text[at]):
            yield at + 1

    def _is(self, wanted: int, char: str) -> bool:
        if self.flags & re.IGNORECASE:
            return chr(wanted).lower() == char.lower()
        return wanted == ord(char)

    def _literal(self, given: int, at: int, groups: Any) -> Iterator[int]:
        yield from self._one(lambda c: self._is(given, c), at)

    def _not_literal(self, given: int, at: int, groups: Any) -> Iterator[int]:
        yield from self._one(lambda c: not self._is(given, c), at)

    def _any(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        yield from self._one(lambda c: c != "\n" or bool(self.flags & re.DOTALL), at)

    def _in(self, given: list[Any], at: int, groups: Any) -> Iterator[int]:
        yield from self._one(lambda c: self._in_set(given, c), at)

    def _in_set(self, given: list[Any], char: str) -> bool:
        negated = str(given[0][0]) == "NEGATE"
        return negated != any(self._in_class(str(k), v, char) for k, v in given[negated:])

    def _in_class(self, kind: str, value: Any, char: str) -> bool:
        if kind == "LITERAL":
            return self._is(value, char)
        if kind == "RANGE":
            both = {char, char.lower(), char.upper()} if self.flags & re.IGNORECASE else {char}
            return any(value[0] <= ord(c) <= value[1] for c in both if len(c) == 1)
        letter = {"WORD": r"\w", "DIGIT": r"\d", "SPACE": r"\s"}
        name = str(value).removeprefix("CATEGORY_")
        inside = re.match(letter[name.removeprefix("NOT_")], char) is not None
        return inside != name.startswith("NOT_")

    def _branch(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        for branch in given[1]:
            yield from self.through(list(branch), at, groups)

    def _subpattern(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        number, _, _, items = given
        for here in self.through(list(items), at, groups):
            groups[number] = True
            yield here

    def _atomic_group(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        yield from [h for h in [next(self.through(list(given), at, groups), None)] if h is not None]

    def _possessive_repeat(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        yield from [h for h in [next(self._max_repeat(given, at, groups), None)] if h is not None]

    def _max_repeat(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        least, most, items = given
        ends = [at]  # of one item each way: such repetitions alone stand in patterns of ours
        while most is _END or len(ends) <= most:
            here = next(self.through(list(items), ends[-1], groups), None)
            if here is None or here == ends[-1]:
                break
            ends.append(here)
        for here in reversed(ends[least:]):
            self.steps += 1
            yield here

    def _min_repeat(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        yield from reversed([*self._max_repeat(given, at, groups)])

    def _groupref_exists(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        number, yes, no = given
        yield from self.through(list(yes if number in groups else no or []), at, groups)

    def _assert(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        direction, items = given
        start = at if direction > 0 else at - 1  # no pattern of ours looks back further
        if start >= 0 and next(self.through(list(items), start, groups), None) is not None:
            yield at

    def _assert_not(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        if next(self._assert(given, at, groups), None) is None:
            yield at

    def _at(self, given: Any, at: int, groups: Any) -> Iterator[int]:
        self.steps += 1
        if "BOUNDARY" in str(given):
            sides = (self.text[at - 1 : at] if at else "", self.text[at : at + 1])
            before, after = (re.match(r"\w", c) is not None for c in sides)
            if before != after:
                yield at
        elif at == (0 if "BEGINNING" in str(given) else self.end):
            yield at
