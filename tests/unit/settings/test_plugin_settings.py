from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from sereno import ConfigurationError
from sereno.settings import load_settings, plugin_settings


class Source(msgspec.Struct, frozen=True):
    url: str
    weight: int = 1
    patience: timedelta = timedelta(0)


class PbxSettings(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    kind: Literal["mysql", "postgresql"] = "mysql"
    batch_size: Annotated[int, msgspec.Meta(gt=0)] = 1000
    share: float = 0.5
    keep: timedelta = timedelta(days=30)
    pause: timedelta | None = None
    queues: list[str] = []
    extra: dict[str, timedelta] = {}
    sources: tuple[Source, ...] = ()
    password: str = ""
    renamed: bool = msgspec.field(default=False, name="quiet")

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ValueError(f"share is {self.share}, it is a share from 0 to 1")


def read(tmp_path: Path, toml: str = "", **environ: str) -> PbxSettings:
    file = tmp_path / "sereno.toml"
    file.write_text(toml)
    settings = load_settings(file=file, environ=environ, flags={})
    return plugin_settings(settings, "pbx", PbxSettings)


def test_a_table_becomes_the_plugins_struct(tmp_path: Path) -> None:
    toml = """[plugins.pbx]
    source = "a"
    keep = "1d12h"
    pause = 5
    queues = ["x", "y"]
    extra = { short = "250ms" }
    sources = [{ url = "b", weight = 2 }]
    quiet = true
    """

    assert read(tmp_path, toml) == PbxSettings(
        source="a",
        keep=timedelta(days=1, hours=12),
        pause=timedelta(seconds=5),
        queues=["x", "y"],
        extra={"short": timedelta(milliseconds=250)},
        sources=(Source("b", 2),),
        renamed=True,
    )


def test_variables_are_enough(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        SERENO_PLUGINS__PBX__SOURCE="7",
        SERENO_PLUGINS__PBX__BATCH_SIZE="50",
        SERENO_PLUGINS__PBX__KEEP="6h",
        SERENO_PLUGINS__PBX__PAUSE="null",
        SERENO_PLUGINS__PBX__QUEUES="x,y",
        SERENO_PLUGINS__PBX__EXTRA='{"short": "1s"}',
        SERENO_PLUGINS__PBX__SOURCES='[{"url": "b"}]',
    )

    assert found == PbxSettings(
        source="7",
        batch_size=50,
        keep=timedelta(hours=6),
        queues=["x", "y"],
        extra={"short": timedelta(seconds=1)},
        sources=(Source("b"),),
    )


def test_a_dash_in_a_plugins_name_is_an_underscore_in_its_table(tmp_path: Path) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text("[plugins.pbx-calls]\nbatch_size = 0\nsource = 'a'")
    variable = {"SERENO_PLUGINS__PBX_CALLS__SOURCE": "b"}
    settings = load_settings(file=file, environ=variable, flags={})

    with pytest.raises(ConfigurationError, match=r"sereno\.toml:2: plugins\.pbx_calls\.batch_size"):
        plugin_settings(settings, "pbx-calls", PbxSettings)
    assert settings.plugins["pbx_calls"]["source"] == "b"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("batch_sice = 1", "2: unknown key 'batch_sice', did you mean 'batch_size'?"),
        ("renamed = true", "2: unknown key 'renamed' in [plugins.pbx]; known are"),
        ("batch_size = 0", "2: plugins.pbx.batch_size is 0, it must be a whole number above 0"),
        (
            "kind = 'mysq'",
            "2: plugins.pbx.kind is 'mysq', it must be one of mysql, postgresql, did",
        ),
        ("keep = 'long'", "2: plugins.pbx.keep is 'long', it must be a duration, as 90s"),
        ("extra = { a = 'b' }", "2: plugins.pbx.extra.a is 'b', it must be a duration"),
        ("sources = [{ weight = 1 }]", "2: plugins.pbx.sources is [{'weight': 1}], it must be"),
        ("share = 2.0", "1: [plugins.pbx] share is 2.0, it is a share from 0 to 1"),
        ("password = 5", "2: plugins.pbx.password is '***', it must be a text"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, toml: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read(tmp_path, f"[plugins.pbx]\n{toml}\nsource = 'a'")

    assert str(refusal.value).startswith(f"{tmp_path}/sereno.toml:{sentence}")


def test_a_key_that_has_no_default_must_be_set(tmp_path: Path) -> None:
    remedy = "set it there or as SERENO_PLUGINS__PBX__SOURCE"

    with pytest.raises(ConfigurationError) as refusal:
        read(tmp_path)

    assert str(refusal.value) == f"[plugins.pbx] wants the key 'source'; {remedy}"


def test_a_struct_that_asks_for_the_impossible_is_told(tmp_path: Path) -> None:
    class Odd(msgspec.Struct):
        path: Any = None
        where: Path = Path("~/x")

    settings = load_settings(file=None, environ={"SERENO_PLUGINS__PBX__WHERE": "/y"}, flags={})

    assert plugin_settings(settings, "pbx", Odd).where == Path("/y")


class Purge(msgspec.Struct):
    keep: Annotated[timedelta, msgspec.Meta(extra={"needs_unit": True})]
    rest: timedelta = timedelta(0)


class Purges(msgspec.Struct):
    keep: Annotated[timedelta, msgspec.Meta(extra={"needs_unit": True})] | None = None
    rules: tuple[Purge, ...] = ()


def read_as(kind: Any, tmp_path: Path, toml: str) -> Any:
    file = tmp_path / "sereno.toml"
    file.write_text(toml)
    return plugin_settings(load_settings(file=file, environ={}, flags={}), "pbx", kind)


def test_a_duration_that_needs_its_unit_is_no_bare_number(tmp_path: Path) -> None:
    fine = "[plugins.pbx]\nkeep = '30d'\nrules = [{ keep = 0, rest = 30 }, { keep = '1h' }]\n"
    found = read_as(Purges, tmp_path, fine)
    assert [rule.keep for rule in found.rules] == [timedelta(0), timedelta(hours=1)]
    for text in ("keep = 30", "rules = [{ keep = 30 }]", "rules = [{ keep = 0.5 }]"):
        with pytest.raises(ConfigurationError, match=r"keep|has no unit, and would be seconds"):
            read_as(Purges, tmp_path, f"[plugins.pbx]\n{text}\n")


def test_durations_are_read_within_a_list_of_tables_too(tmp_path: Path) -> None:
    toml = """[plugins.pbx]
    source = "a"

    [[plugins.pbx.sources]]
    url = "b"
    patience = "1h30m"

    [[plugins.pbx.sources]]
    url = "c"
    """

    assert read(tmp_path, toml).sources == (
        Source("b", patience=timedelta(hours=1.5)),
        Source("c"),
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('patience = "soon"', "duration 'soon': it cannot be read"),
        ('weight = "much"', "Expected `int`, got `str` - at `$[1].weight`"),
        ("weight = 1.5", "at `$[1].weight`"),
    ],
)
def test_what_does_not_fit_within_a_list_of_tables_is_named(
    line: str, sentence: str, tmp_path: Path
) -> None:
    toml = f"""[plugins.pbx]
    source = "a"
    sources = [{{ url = "b" }}, {{ url = "c", {line} }}]
    """

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, toml)

    assert sentence in str(caught.value)
