"""What conf/, Dockerfile and compose.yaml name is there: paths, ports, settings, commands."""

import json
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import check_jsonschema
import jsonschema
import kubernetes_validate
import pytest
import yaml

from sereno.cli.command_table import ENTRIES
from sereno.http import app as pages
from sereno.settings import Settings, load_settings, plugin_settings
from sereno_etl_ivr.settings import Settings as EtlIvrSettings

from .test_tree import ROOT

CONF = ROOT / "conf"
KUBERNETES = CONF / "kubernetes"
MANIFESTS = sorted(p for p in KUBERNETES.rglob("*.yaml") if p.name != "kustomization.yaml")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OF_OPERATOR = {"PrometheusRule", "ServiceMonitor"}
VERSIONS = ("1.30", "1.37")


def resources() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (r for r in resources() if (r["kind"], r["metadata"]["name"]) == (kind, name))
    return found


def containers() -> Iterator[dict[str, Any]]:
    for resource in resources():
        pod = resource.get("spec", {}).get("template", {}).get("spec", {})
        yield from pod.get("initContainers", [])
        yield from pod.get("containers", [])


def served() -> set[str]:
    """Return the paths of the pages, of nodes and of the process of apps."""
    found = set(re.findall(r'Route\("([^"]+)"', Path(pages.__file__).read_text()))
    apps = (ROOT / "kernel/sereno/apps/directory.py").read_text()
    return found | set(re.findall(r'"(/healthz)"', apps))


def settings(environ: dict[str, Any], tmp_path: Path) -> Settings:
    """Return the settings of an environment; its files hold what they would."""
    secrets = {"database_url": "postgresql://u@h/d", "source_url": "mysql://u:p@h/d"}
    chosen = {}
    for name, value in environ.items():
        if name.endswith("_FILE"):
            key = Path(value).name.removeprefix("owner_")
            (tmp_path / key).write_text(secrets[key])
            chosen[name] = str(tmp_path / key)
        else:
            chosen[name] = str(value)
    return load_settings(file=None, environ=chosen, flags={})


def check_command(args: list[str]) -> None:
    """Say whether ``sereno`` takes this: the command, and each of its options."""
    words = list(args)
    if words[:1] == ["--config"]:
        words = words[2:]
    command = import_module(f"sereno.cli.{ENTRIES[words[0]].module}").command
    known = {option for parameter in command.params for option in parameter.opts}
    assert {w for w in words[1:] if w.startswith("-")} <= known


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_what_kubernetes_takes(version: str) -> None:
    seen = set()
    for resource in resources():
        seen.add(resource["kind"])
        if resource["kind"] not in OF_OPERATOR:
            kubernetes_validate.validate(resource, version, strict=True)
    wanted = {"Deployment", "PodDisruptionBudget", "NetworkPolicy", "Secret", "Job", "Service"}
    assert seen >= wanted | OF_OPERATOR


def test_kustomizations_list_every_manifest() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        found = yaml.safe_load(path.read_text())
        others = {p.name for p in path.parent.glob("*.yaml")} - {path.name}
        assert set(found["resources"]) == others
        for generated in found.get("configMapGenerator", []):
            assert all((path.parent / file).is_file() for file in generated["files"])


def test_pods_may_write_nothing_be_nobody_and_ask_no_more() -> None:
    for container in containers():
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"]
        assert not confined["allowPrivilegeEscalation"]
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        assert {m["mountPath"] for m in container["volumeMounts"]} >= {"/tmp"}


def test_ports_and_probes_of_pods_are_those_of_the_pages() -> None:
    ports = {"sereno": Settings().http.port, "console": Settings().apps.port}
    for container in containers():
        own = {p["name"]: p["containerPort"] for p in container.get("ports", [])}
        assert own.items() <= ports.items()
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.get(name, {}).get("httpGet")
            assert probe is None or (probe["port"] in own and probe["path"] in served())
    policy = named("NetworkPolicy", "sereno")["spec"]["ingress"]
    assert {p["port"] for rule in policy for p in rule["ports"]} == set(ports.values())
    endpoint = named("ServiceMonitor", "sereno")["spec"]["endpoints"][0]
    assert endpoint["path"] in served()
    assert endpoint["port"] in {p["name"] for p in named("Service", "sereno")["spec"]["ports"]}


def test_what_selects_pods_selects_some() -> None:
    labels = [
        r["spec"]["template"]["metadata"]["labels"]
        for r in resources()
        if "template" in r.get("spec", {})
    ]
    services = [r["metadata"]["labels"] for r in resources() if r["kind"] == "Service"]
    for resource in resources():
        spec = resource.get("spec", {})
        for key in ("selector", "podSelector"):
            chosen = spec.get(key) or {}
            wanted = chosen.get("matchLabels", chosen)
            known = services if resource["kind"] == "ServiceMonitor" else labels
            assert any(wanted.items() <= found.items() for found in known), resource["kind"]


def test_pods_find_their_settings_and_secrets(tmp_path: Path) -> None:
    secret = set(named("Secret", "sereno")["stringData"])
    for container in containers():
        environ = {e["name"]: e.get("value", "a pod") for e in container["env"]}
        settings(environ, tmp_path)
        mounted = {m["mountPath"] for m in container["volumeMounts"]}
        for value in environ.values():
            if value.startswith("/run/secrets/"):
                assert str(Path(value).parent) in mounted
                assert Path(value).name in secret
        check_command(container["args"])
        if "--config" in container["args"]:
            assert "/etc/sereno" in mounted
    load_settings(file=KUBERNETES / "sereno.toml", environ={}, flags={})


def test_the_operators_rule_is_made_of_the_rules() -> None:
    found = named("PrometheusRule", "sereno")["spec"]["groups"]
    rules = yaml.safe_load((CONF / "prometheus" / "sereno.rules.yml").read_text())
    assert found == rules["groups"], "`make docs` makes it anew"


def test_versions_of_images_are_the_distributions() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    for path in KUBERNETES.rglob("kustomization.yaml"):
        for image in yaml.safe_load(path.read_text())["images"]:
            assert image == {"name": "sereno", "newTag": version[1]}


def test_grace_is_longer_than_a_replica_needs() -> None:
    needs = Settings().drain_timeout.total_seconds() + 10
    pod = named("Deployment", "sereno")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > needs
    assert int(COMPOSE["services"]["sereno"]["stop_grace_period"].removesuffix("s")) > needs


def test_the_compose_file_is_what_compose_takes() -> None:
    place = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
    jsonschema.validate(COMPOSE, json.loads((place / "compose-spec.json").read_text()))


def test_what_compose_mounts_is_there_and_what_it_asks_for_is_declared() -> None:
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            there = (
                (ROOT / source).exists()
                if source.startswith("./")
                else source in COMPOSE["volumes"]
            )
            assert there, (name, volume)
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert set(service.get("depends_on", [])) <= set(COMPOSE["services"])


def test_secrets_of_compose_are_files_that_a_script_makes_once(tmp_path: Path) -> None:
    made: list[dict[str, str]] = []
    for _ in range(2):
        subprocess.run(["/bin/sh", CONF / "compose" / "secrets.sh"], cwd=tmp_path, check=True)
        made.append({str(p): p.read_text() for p in tmp_path.glob("secrets/*")})
    assert made[0] == made[1]
    # Compose refuses any other kind for a container that is read-only.
    named = {str(tmp_path / secret["file"]) for secret in COMPOSE["secrets"].values()}
    assert named == set(made[0])
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(Path(path).stat().st_mode) == 0o644 for path in named)
    urls = [urlsplit(text) for path, text in made[0].items() if path.endswith("_url")]
    passwords = {made[0][path] for path in named if path.endswith("_password")}
    assert len(passwords) == 3
    for url in urls:
        assert url.hostname in COMPOSE["services"]
        assert url.password in passwords


def test_services_of_compose_find_their_settings_and_commands(tmp_path: Path) -> None:
    for name in ("migrate", "sereno", "console"):
        service = COMPOSE["services"][name]
        found = settings(service["environment"], tmp_path)
        plugin_settings(found, "etl_ivr", EtlIvrSettings)
        assert "sereno" in found.http.hosts
        check_command(service["command"])
        assert service["read_only"]
    assert COMPOSE["services"]["console"]["ports"] == [
        f"127.0.0.1:{Settings().apps.port}:{Settings().apps.port}"
    ]


def test_prometheus_and_grafana_of_compose_find_each_other() -> None:
    prometheus = yaml.safe_load((CONF / "compose" / "prometheus.yml").read_text())
    (job,) = prometheus["scrape_configs"]
    assert (job["job_name"], job["honor_labels"]) == ("sereno", True)
    (found,) = job["dns_sd_configs"]
    assert found["names"][0] in COMPOSE["services"]
    assert found["port"] == Settings().http.port
    mounts = COMPOSE["services"]["prometheus"]["volumes"]
    assert any(f"/etc/prometheus/{prometheus['rule_files'][0]}:" in m for m in mounts)
    place = CONF / "grafana" / "provisioning"
    (source,) = yaml.safe_load((place / "datasources/prometheus.yml").read_text())["datasources"]
    assert re.fullmatch(r"http://prometheus:9090", source["url"])
    (provider,) = yaml.safe_load((place / "dashboards/sereno.yml").read_text())["providers"]
    grafana = COMPOSE["services"]["grafana"]["volumes"]
    for dashboard in CONF.glob("grafana/*.json"):
        assert (
            f"./conf/grafana/{dashboard.name}:{provider['options']['path']}/{dashboard.name}:ro"
            in grafana
        )


def test_the_image_holds_every_plugin_runs_as_nobody_and_asks_a_page_that_is_there() -> None:
    plugins = {p.name for p in (ROOT / "plugins").iterdir() if (p / "pyproject.toml").exists()}
    # One works in the image of the application whose settings it reads; the other brings what only
    # who has a cluster of Dask wants, and is added by PLUGINS.
    plugins -= {"django", "dask"}
    listed = re.search(r'PLUGINS="(.*)"', DOCKERFILE)
    assert listed is not None
    assert set(listed[1].split()) == plugins
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)
    probe = re.search(r"http://127\.0\.0\.1:(\d+)(/\S+?)'", DOCKERFILE)
    assert probe is not None
    assert (int(probe[1]), probe[2]) == (Settings().http.port, "/health/liveness")
    assert f"EXPOSE {Settings().http.port} {Settings().apps.port}" in DOCKERFILE
    environ = dict(re.findall(r"(SERENO_\w+)=(\S+)", DOCKERFILE))
    load_settings(file=None, environ=environ, flags={})
    command = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert command is not None
    check_command(json.loads(command[1]))


def test_what_the_image_is_built_of_is_not_ignored() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in kept)
    project = (ROOT / "pyproject.toml").read_text()
    assert {"pyproject.toml", "constraints.txt", "README.md", "conf", "kernel", "plugins"} <= kept
    assert 'readme = "README.md"' in project


@pytest.mark.parametrize("unit", sorted(CONF.glob("systemd/*.service")), ids=lambda p: p.stem)
def test_units_call_commands_that_are_there(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    start = re.search(r"^ExecStart=\S+ (.*)$", text, re.MULTILINE)
    assert start is not None
    check_command(shlex.split(start[1]))
    environ = dict(re.findall(r"(SERENO_\w+)=(\S+)", text.replace("%i", "8775")))
    environ = {k: v for k, v in environ.items() if not v.startswith("/etc")}
    load_settings(file=None, environ=environ, flags={})
    for option in ("Restart=always", "LimitNOFILE=16384", "RestartPreventExitStatus=2"):
        assert f"\n{option}\n" in text


def test_workflows_are_what_github_takes_and_call_targets_that_are_there() -> None:
    place = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
    schema = json.loads((place / "github-workflows.json").read_text())
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        found = yaml.safe_load(text)
        found["on"] = found.pop(True)  # what YAML 1.1 makes of the key
        jsonschema.validate(found, schema)
        called = set(re.findall(r"run: make ([a-z-]+)", text))
        assert {"check", "test", "test-versions", "release-check"} <= called <= targets
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].split()[1] for hook in hooks} <= targets
