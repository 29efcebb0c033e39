"""Reads signatures and docstrings as they are written in the code."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_WIDTH = 96


def signature(function: Callable[..., Any], prefix: str = "") -> str:
    """Return how it is called, with the types as its source writes them, and no ``self``."""
    node = _node(function)
    arguments = node.args
    constants = inspect.unwrap(function).__globals__
    for defaults in (arguments.defaults, arguments.kw_defaults):
        defaults[:] = [_value(default, constants) for default in defaults]  # type: ignore[type-var]
    arguments.args = [a for a in arguments.args if a.arg not in ("self", "cls")]
    word = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    answer = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    called = ", ".join(_split(arguments))
    whole = f"{word}{prefix}{node.name}({called}){answer}"
    if len(whole) <= _WIDTH:
        return whole
    lines = "".join(f"    {one},\n" for one in _split(arguments))
    return f"{word}{prefix}{node.name}(\n{lines}){answer}"


def said(thing: Any) -> str:
    """Return a docstring as Markdown: one blank line between paragraphs, single backticks."""
    text = inspect.cleandoc(thing.__doc__ or "")
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return "\n\n".join(" ".join(p.split()) for p in re.split(r"\n\s*\n", text))


def first_sentence(thing: Any) -> str:
    """Return what its docstring says first."""
    return said(thing).partition("\n\n")[0]


def written_type(kind: Any) -> str:
    """Return a type as people write it, without its modules."""
    if kind is type(None):
        return "None"
    text = kind.__name__ if isinstance(kind, type) and not _has_arguments(kind) else str(kind)
    text = re.sub(r"typing\.Annotated\[(.*?), .*\]$", r"\1", text)
    return re.sub(r"(?:\b[a-z_]\w*\.)+(?=[A-Za-z_])", "", text).replace("NoneType", "None")


def cell(text: str) -> str:
    """Return a text that may stand in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _value(default: ast.expr | None, constants: Mapping[str, Any]) -> ast.expr | None:
    """Return a default that is a module's constant as what it is."""
    if isinstance(default, ast.Name) and isinstance(constants.get(default.id), int | str):
        return ast.Constant(constants[default.id])
    return default


def _has_arguments(kind: Any) -> bool:
    return bool(getattr(kind, "__args__", ()))


def _node(function: Callable[..., Any]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    (found,) = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return found


def _split(arguments: ast.arguments) -> Iterator[str]:
    """Give each argument by itself, as it stands in the whole."""
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    for at, argument in enumerate(positional):
        default = arguments.defaults[at - without] if at >= without else None
        yield _one(argument, default)
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _one(argument, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _one(argument: ast.arg, default: ast.expr | None) -> str:
    told = ast.unparse(argument)
    return told if default is None else f"{told} = {ast.unparse(default)}"
