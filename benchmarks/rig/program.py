"""The command line of every bench: who takes part, in which order, and where the figures go."""

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rig.adapter import AdapterError
from benchmarks.rig.contender import Contender, ContenderError, contenders
from benchmarks.rig.process import machine_cpu_seconds, wait_for_calm
from benchmarks.rig.report import (
    PAGE,
    RESULTS,
    Column,
    Result,
    busiest,
    check_markers,
    commit,
    keep,
    kept,
    setting,
    table,
    write_section,
)
from benchmarks.rig.server import BenchServer

Figures = dict[str, float | None]
Measure = Callable[[BenchServer, Contender, str, argparse.Namespace], Figures]


@dataclass(frozen=True)
class Bench:
    """One bench. `measure(server, contender, variant, options)` makes one run of it.

    `variants`: what each contender is measured at, from the options; `varied`: what they are.
    `notes`: lines below the table that tell how to read it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    measure: Measure
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    variants: Callable[[argparse.Namespace], Sequence[str]] = lambda options: [""]
    varied: str = "size"
    server_options: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def run(bench: Bench, arguments: Sequence[str] | None = None) -> list[Result]:
    """Measure in turn, A B C A B C; print the table, and write it where it is asked for."""
    options = _parser(bench).parse_args(arguments)
    try:
        taking_part = contenders(bench.name, options.peers)
    except ContenderError as error:
        print(f"{bench.name}: {error}", file=sys.stderr)
        sys.exit(2)
    if options.write:
        check_markers(options.page, bench.name)
    results = kept(options.results) if options.add else []
    taking_part = _installed(taking_part)
    with BenchServer(options.postgres, bench.server_options) as server:
        said, measured = setting(server.said()), commit()
        for _ in range(options.repeat):
            for variant in bench.variants(options):
                for contender in taking_part:
                    result = _once(bench, server, contender, variant, options)
                    result |= {"setting": said, "commit": measured}
                    keep(options.results, result)
                    results.append(result)
    text = _section(bench, results, arguments)
    print(text)
    if options.write:
        write_section(options.page, bench.name, text)
    return results


def _parser(bench: Bench) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=bench.title)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (3)")
    parser.add_argument(
        "--peers", nargs="?", const="all", help="measure the peers too: all, or these (a,b)"
    )
    parser.add_argument(
        "--calm", type=float, default=10.0, help="seconds to wait for a calm machine"
    )
    parser.add_argument("--postgres", type=int, help="major version; default: the distribution's")
    results = RESULTS / f"{bench.name}.jsonl"
    parser.add_argument(
        "--results", type=Path, default=results, help="a JSON line per run goes here"
    )
    parser.add_argument(
        "--add", action="store_true", help="the table has the file's older runs too"
    )
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    parser.add_argument("--page", type=Path, default=PAGE)
    bench.add_options(parser)
    return parser


def _installed(taking_part: Sequence[Contender]) -> list[Contender]:
    """Make the environments first; one that cannot be made is said, and its rows say it again."""
    for contender in taking_part:
        try:
            contender.interpreter()
        except ContenderError as error:
            print(error, file=sys.stderr)
    return list(taking_part)


def _once(
    bench: Bench,
    server: BenchServer,
    contender: Contender,
    variant: str,
    options: argparse.Namespace,
) -> Result:
    result: Result = {
        "bench": bench.name,
        "contender": contender.name,
        "variant": variant,
        "settings": contender.said(bench.name),
        "needs": contender.needs,
        "busy_before": round(wait_for_calm(patience=options.calm), 3),
        "at": time.strftime("%FT%TZ", time.gmtime()),
    }
    used, began = machine_cpu_seconds(), server.cpu_seconds()
    try:
        result["figures"] = bench.measure(server, contender, variant, options)
    except (AdapterError, ContenderError) as error:
        result["failed"] = str(error)
    result["machine_cpu_s"] = round(machine_cpu_seconds() - used, 2)
    result["postgres_cpu_s"] = round(server.cpu_seconds() - began, 2)
    shown = result.get("figures") or {"failed": result.get("failed")}
    print(f"{contender.name} {variant}: {json.dumps(shown)}", file=sys.stderr, flush=True)
    return result


def _section(bench: Bench, results: list[Result], arguments: Sequence[str] | None) -> str:
    """Return the command, the table and what was measured with."""
    everyone = contenders(bench.name, "all")
    present = [c for c in everyone if any(r["contender"] == c.name for r in results)]
    most = max(Counter((r["contender"], r["variant"]) for r in results).values())
    command = _command(sys.argv[1:] if arguments is None else arguments, most)
    lines = [f"    .venv/bin/python benchmarks/{bench.name}.py {command}", ""]
    lines += table(bench.columns, present, results, bench.varied)
    commits = ", ".join(dict.fromkeys(f"`{r['commit']}`" for r in results))
    settings = "; ".join(dict.fromkeys(r["setting"] for r in results))
    lines += ["", f"Medians of {most} (least to most). Sereno at {commits}; {settings}"]
    lines += [f"Other work before a run: {busiest(results)} of the processors at most.", ""]
    lines += [f"- {note}" for note in bench.notes]
    for contender in present:
        needs = f" {', '.join(contender.needs)};" if contender.needs else ""
        python = f" Python {contender.python};" if contender.python else ""
        lines.append(f"- {contender.title}:{needs}{python} {contender.said(bench.name)}")
    return "\n".join(lines)


def _command(arguments: Sequence[str], repeat: int) -> str:
    """Return the arguments of one invocation that does what several with --add have done."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--repeat")
    for option in ("--add", "--write"):
        parser.add_argument(option, action="store_true")
    for option in ("--results", "--page"):
        parser.add_argument(option)
    _, left = parser.parse_known_args(list(arguments))
    return shlex.join([*left, "--repeat", str(repeat)])
