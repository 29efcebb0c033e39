import ast
import functools
import re
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_NOUNS = {"utils", "util", "common", "helpers", "helper", "base", "misc", "tools", "lib"}
SECOND_LOOK = 400
"""A longer file wants to be two, or a line here with the reason."""

LONGER: dict[str, str] = {
    "kernel/sereno/engine/leader.py": "one session's two trusts: to lead, and to work",
    "kernel/sereno/engine/dispatcher.py": "one queue, whose runs stay or are handed over",
    "kernel/sereno/engine/scheduler.py": "one settlement, whose runs stay or are handed over",
}


def committed(*suffixes: str) -> list[Path]:
    """Return the files of this repository as a clone has them, with those that are not yet in it.

    A copy without its history, or one that belongs to somebody else, is read by the same rules
    through an empty repository.
    """
    listing = ["ls-files", "-z", "--others", "--exclude-standard"]
    try:
        names = git(*listing, "--cached")
    except subprocess.CalledProcessError:
        with tempfile.TemporaryDirectory() as place:
            git("init", "--quiet", "--bare", place)
            names = git(f"--git-dir={place}", f"--work-tree={ROOT}", *listing)
    files = [ROOT / name for name in names.split("\0") if name]
    return [f for f in files if f.is_file() and (not suffixes or f.suffix in suffixes)]


def git(*arguments: str) -> str:
    ended = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return ended.stdout


def shipped() -> list[Path]:
    return [f for f in committed(".py") if f.relative_to(ROOT).parts[0] in {"kernel", "plugins"}]


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree's statements, inner ones too; expressions, which have none, are passed by."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        for part in ("body", "orelse", "handlers", "finalbody", "cases"):
            found = getattr(node, part, ())
            left += found if isinstance(found, list) else ()


def length(file: Path) -> int:
    return len(file.read_text().splitlines())


def test_files_are_small() -> None:
    long = {str(f.relative_to(ROOT)) for f in shipped() if length(f) > SECOND_LOOK}

    assert long == set(LONGER)


def test_the_median_file_is_about_a_hundred_lines() -> None:
    assert statistics.median(n for n in map(length, shipped()) if n > 3) <= 130


def test_each_file_is_named_by_a_noun() -> None:
    names = {part for f in shipped() for part in f.relative_to(ROOT).with_suffix("").parts}

    assert names & NO_NOUNS == set()


def test_every_module_says_what_it_decides() -> None:
    told = re.compile(r'\s*(#.*\s+)*r?"""\s*[^"\s]')
    silent = [f for f in shipped() if not told.match(f.read_text())]

    assert [str(f.relative_to(ROOT)) for f in silent] == []


# Each with a pair of brackets in its middle, so that this file does not find itself.
FORBIDDEN = {
    "the address of a registry": re.compile(
        r"pypi\.or[g]|pythonhosted\.or[g]|registry\.npm[j]s|--(extra-)?index-[u]rl[ =]|/si[m]ple/"
    ),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(wor[k]|roo[t]|User[s])/\w"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE [K]EY-----"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_committed_holds(what: str) -> None:
    found = []
    for file in committed():
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{number}"
            for number, line in enumerate(text.splitlines(), 1)
            if FORBIDDEN[what].search(line)
        ]

    assert found == []


# What the field calls log or publish, observe, return, poll, and a tick: here they had many senses.
LOOSE_VERBS = {"tell", "told", "hear", "hears", "say", "said", "look", "turn"}
ELSEWHERE = {
    "kernel/sereno/testing/signals.py: say",  # public: tests of plugins call it
    "plugins/reports/sereno_reports/look.py: look_of",  # a noun: how a report looks
}


@functools.cache
def definitions() -> list[tuple[str, type[ast.AST], str]]:
    """Return file, kind and name of each function and class that is shipped."""
    return [
        (str(file.relative_to(ROOT)), type(node), node.name)
        for file in shipped()
        for node in statements(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]


def test_functions_log_publish_observe_and_poll() -> None:
    loose = {
        f"{file}: {name}"
        for file, kind, name in definitions()
        if kind is not ast.ClassDef and LOOSE_VERBS & set(name.split("_"))
    }

    assert loose == ELSEWHERE


SHARED = {"Settings", "Media", "Meta", "Migration"}


def test_no_two_classes_have_one_name() -> None:
    # `Settings` is what each plugin calls its own, as the plugin that `new-plugin` writes does; the
    # others are names that Django looks for.
    names = Counter(name for _, kind, name in definitions() if kind is ast.ClassDef)

    assert {name for name, count in names.items() if count > 1} <= SHARED


NOT_AT_THE_LEFT = re.compile(r"(^[ \t]+|[;:]\s*)(import|from)\b", re.MULTILINE)


def test_nothing_is_imported_inside_a_function() -> None:
    # What is wanted late is loaded by `lazy`, which the layers are held to.
    inside = {
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in shipped()
        if NOT_AT_THE_LEFT.search(text := file.read_text())
        for function in statements(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in statements(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert inside == set()
