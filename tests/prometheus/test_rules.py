"""The rules, configurations and dashboard, without a server."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .programs import ROOT, program, promtool

CONF = ROOT / "conf"
RULES = CONF / "prometheus" / "sereno.rules.yml"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
PLAYED = sorted((Path(__file__).parent / "rules").glob("*.yml"))
DASHBOARD = json.loads((CONF / "grafana" / "sereno.json").read_text("utf-8"))


def alerts() -> dict[str, str]:
    """Return the text of each alert's rule."""
    parts = re.split(r"^ +- (?:alert|record): ", RULES.read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = {part.split()[0]: part for part in parts}
    return {name: text for name, text in found.items() if ":" not in name}


def expressions(value: Any) -> list[str]:
    """Return every PromQL expression of a part of the dashboard."""
    if isinstance(value, list):
        return [e for item in value for e in expressions(item)]
    if isinstance(value, dict):
        own = [value["expr"]] if "expr" in value else []
        return own + [e for key, item in value.items() if key != "expr" for e in expressions(item)]
    return []


def play(played: dict[str, Any], folder: Path) -> None:
    """Have promtool play each case with the alerts that it names, or with all where it asks which
    fire: it evaluates every rule at every step, and most of them for nothing.
    """
    files = []
    for number, case in enumerate(played["tests"]):
        rules = folder / f"{number}.rules.json"
        rules.write_text(json.dumps({"groups": groups(case)}))
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps({**played, "rule_files": [rules.name], "tests": [case]}))
    promtool("test", "rules", *files)


def groups(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the groups of rules with what a case names, and with what that reads."""
    if "promql_expr_test" in case:
        return GROUPS
    named = {test["alertname"] for test in case["alert_rule_test"]}
    read = "".join(r["expr"] for group in GROUPS for r in group["rules"] if r.get("alert") in named)
    kept = [
        [r for r in group["rules"] if r.get("alert") in named or r.get("record", "?") in read]
        for group in GROUPS
    ]
    return [{**group, "rules": rules} for group, rules in zip(GROUPS, kept, strict=True) if rules]


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", RULES)


@pytest.mark.parametrize("name", ["static", "dns", "kubernetes"])
def test_promtool_accepts_the_configuration(name: str, tmp_path: Path) -> None:
    text = (CONF / "prometheus" / f"{name}.yml").read_text("utf-8")
    (tmp_path / RULES.name).write_bytes(RULES.read_bytes())
    if name == "kubernetes":  # Debian's promtool is built without this discovery
        text, found = re.subn(
            r"    kubernetes_sd_configs:\n(?:      .*\n)+",
            "    static_configs: [{ targets: [pod] }]\n",
            text,
        )
        assert found == 1
    (tmp_path / "prometheus.yml").write_text(text)

    promtool("check", "config", tmp_path / "prometheus.yml")

    assert re.search(r"job_name: sereno\b", text)
    assert "honor_labels: true" in text


def test_amtool_accepts_the_example() -> None:
    done = subprocess.run(
        [program("amtool"), "check-config", CONF / "alertmanager" / "alertmanager.yml"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("played", PLAYED, ids=lambda path: path.stem)
def test_the_rules_fire_and_stay_silent_as_played(played: Path, tmp_path: Path) -> None:
    play(yaml.safe_load(played.read_text("utf-8")), tmp_path)


@pytest.mark.parametrize("alert", alerts())
def test_each_alert_is_played_firing_and_silent(alert: str) -> None:
    played = "".join(path.read_text("utf-8") for path in PLAYED)

    assert re.search(rf"alertname: {alert}\n +exp_alerts:\n", played), "it is never seen firing"
    assert f"alertname: {alert}, exp_alerts: []" in played, "it is never seen silent"


@pytest.mark.parametrize(("alert", "text"), alerts().items())
def test_each_alert_says_what_it_is_how_bad_and_what_to_do(alert: str, text: str) -> None:
    severity = re.search(r"severity: (\w+)", text)
    documented = (ROOT / "docs" / "alerts.md").read_text("utf-8")

    assert severity is not None
    assert severity[1] in ("the", "critical", "warning", "info")  # "the job's own"
    assert "summary:" in text
    assert "description:" in text
    place = "{{ $externalLabels.runbooks }}docs/alerts.md"
    assert f'runbook: "{place}#{alert.lower()}"\n' in text
    assert f"### {alert}\n" in documented


def test_the_address_of_runbooks_is_a_setting_of_prometheus(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "rules" / "dask.yml").read_text("utf-8")
    played = yaml.safe_load(text.replace("runbook: docs/", "runbook: https://wiki/docs/"))
    for case in played["tests"]:
        case["external_labels"] = {"runbooks": "https://wiki/"}
    play(played, tmp_path)


def test_no_alert_is_documented_that_there_is_not() -> None:
    documented = re.findall(r"^### (\w+)", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(alerts())


def test_rules_and_dashboard_use_only_series_that_there_are() -> None:
    there = re.findall(r"^\| `(\w+)", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    used = set(
        re.findall(
            r"(?<![:\w.])(?:sereno|process)_\w+(?![\w:]*\.rules)",
            RULES.read_text() + json.dumps(expressions(DASHBOARD)),
        )
    )

    parts = ("_bucket", "_count", "_sum")
    assert used
    assert {re.sub(rf"({'|'.join(parts)})$", "", name) for name in used} <= set(there)


def test_inhibitions_name_alerts_that_there_are() -> None:
    text = (CONF / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    named = set(re.findall(r"alertname = (\w+)", text))
    for group in re.findall(r"Sereno\(([\w|]+)\)", text):
        named |= {f"Sereno{name}" for name in group.split("|")}

    assert named
    assert named <= set(alerts())


def panels() -> list[dict[str, Any]]:
    return list(DASHBOARD["panels"])


def test_the_dashboard_is_importable_anywhere() -> None:
    """A new id, no fixed datasource, numbered panels that fit the grid and do not overlap."""
    assert DASHBOARD["id"] is None
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    sources = re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD))
    assert set(sources) == {"${datasource}", "sereno", "-- Grafana --"}
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_expression_of_the_dashboard_heeds_the_cluster() -> None:
    for expression in expressions(DASHBOARD):
        assert "$cluster" in expression, expression


def test_the_dashboard_lets_one_choose_datasource_cluster_and_job() -> None:
    assert [v["name"] for v in DASHBOARD["templating"]["list"]] == ["datasource", "cluster", "job"]
