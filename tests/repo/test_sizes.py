"""No function is too long to be read at once, no constructor takes more than can be told apart."""

import ast
from collections.abc import Callable, Iterator

from .test_tree import ROOT, shipped, statements

LINES = 60
ARGUMENTS = 7
REASON = "# Over seven: "
"""What a comment begins with, right above the constructor, that says why it has more arguments."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in statements(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def long_functions(text: str) -> list[str]:
    return [f.name for f in functions(ast.parse(text)) if (f.end_lineno or 0) - f.lineno >= LINES]


def crowded_constructors(text: str) -> list[str]:
    """Return the classes whose constructor takes too much, with no reason beside it.

    A value may have many fields. What has callables among them does something, and counts.
    """
    lines, found = text.splitlines(), []
    for made in statements(ast.parse(text)):
        if not isinstance(made, ast.ClassDef):
            continue
        begins = [f for f in made.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
        fields = [f for f in made.body if isinstance(f, ast.AnnAssign)]
        if begins:
            taken = begins[0].args
            count = len([*taken.posonlyargs, *taken.args, *taken.kwonlyargs]) - 1
            first = begins[0].lineno
        elif any("Callable" in ast.unparse(f.annotation) for f in fields):
            count = sum(1 for f in fields if f.value is None)
            first = made.lineno - len(made.decorator_list)
        else:
            continue
        if count > ARGUMENTS and not _reason_above(lines, first):
            found.append(made.name)
    return found


def _reason_above(lines: list[str], number: int) -> bool:
    above = []
    for line in reversed(lines[: number - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip())
    text = " ".join(above)
    return text.startswith(REASON) and len(text) > len(REASON) + 20


def in_shipped(rule: Callable[[str], list[str]]) -> list[str]:
    found = []
    for file in shipped():
        found += [f"{file.relative_to(ROOT)}: {name}" for name in rule(file.read_text())]
    return found


def test_no_function_is_longer_than_sixty_lines() -> None:
    assert in_shipped(long_functions) == []


def test_no_constructor_takes_more_than_seven_without_a_reason_beside_it() -> None:
    assert in_shipped(crowded_constructors) == []


def test_the_rules_find_what_they_are_for() -> None:
    body = "\n    ".join(["x = 1"] * LINES)
    assert long_functions(f"def long():\n    {body}\n") == ["long"]
    assert long_functions(f"async def long():\n    {body}\n") == ["long"]
    many = ", ".join(f"a{n}" for n in range(ARGUMENTS + 1))
    reason = f"    {REASON}each is known to the loop that makes it alone.\n"
    init = f"    def __init__(self, {many}): ...\n"
    assert crowded_constructors(f"class Full:\n{init}") == ["Full"]
    assert crowded_constructors(f"class Full:\n    {REASON}.\n{init}") == ["Full"]
    assert crowded_constructors(f"class Full:\n{reason}{init}") == []
    fields = "\n    ".join(f"a{n}: int" for n in range(ARGUMENTS))
    assert crowded_constructors(f"class Value:\n    {fields}\n    b: int\n") == []
    doing = f"class Doing:\n    {fields}\n    b: Callable[[], None]\n"
    assert crowded_constructors(doing) == ["Doing"]
    assert crowded_constructors(f"{reason.strip()}\n{doing}") == []
