"""The plugin as the kernel sees it, and as a whole node uses it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sereno import ConfigurationError
from sereno.settings import Settings, load_settings, plugin_settings
from sereno.testing import declared
from sereno_notify import plugin
from sereno_notify.settings import Settings as NotifySettings

MAIL = {"host": "mail.example.com", "sender": "a@example.com", "to": ["b@example.com"]}


def test_each_table_is_a_notifier() -> None:
    tables: dict[str, Any] = {
        "webhooks": {"chat": {"url": "https://example.com/x", "format": "slack"}},
        "emails": {"mail": MAIL},
    }
    assert set(declared(plugin, tables).notifiers) == {"chat", "mail"}


def test_without_settings_there_is_nothing() -> None:
    assert declared(plugin).notifiers == {}


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ({"webhooks": {"a": {"url": "htp://hunter2"}}}, "url must begin with https:// or http://"),
        ({"webhooks": {"a": {"url": "https://"}}}, "url must begin with"),
        ({"webhooks": {"a": {"url": "https://h:99999/hunter2"}}}, "url must begin with"),
        ({"pings": {"etl.sync": {"url": "hunter2"}}}, "url must begin with"),
        ({"webhooks": {"a": {}}}, "wants the key 'url'"),
        ({"webhooks": {"a": {"url": "https://h/hunter2", "formt": "slack"}}}, "did you mean"),
        ({"webhooks": {"a": {"url": "https://h/hunter2", "format": "slck"}}}, "one of json, slack"),
        ({"webhooks": {"a": {"url": "https://h/hunter2", "headers": {"X": "a\nb"}}}}, "line break"),
        ({"webhooks": {"Big One": {"url": "https://h/hunter2"}}}, "needs a name of lower-case"),
        ({"emails": {"a": {**MAIL, "to": []}}}, "to is empty"),
        ({"emails": {"a": {**MAIL, "sender": "ops"}}}, "'ops' is no mail address"),
        ({"emails": {"a": {**MAIL, "password": "hunter2"}}}, "username and password go together"),
        (
            {"webhooks": {"a": {"url": "https://h/hunter2"}}, "emails": {"a": MAIL}},
            "'a' is a webhook and a mail",
        ),
    ],
)
def test_a_fault_in_the_settings_is_a_sentence_without_the_address(
    tables: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault) as caught:
        plugin_settings(Settings(plugins={"notify": tables}), "notify", NotifySettings)
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_come_from_the_environment_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[plugins.notify.webhooks.ops]\nformat = 'slack'\n")
    environ = {"SERENO_PLUGINS__NOTIFY__WEBHOOKS__OPS__URL": "https://example.com/hunter2"}
    settings = load_settings(file=file, environ=environ, flags={})
    found = plugin_settings(settings, "notify", NotifySettings)
    assert found.webhooks["ops"].url.endswith("hunter2")
    assert "hunter2" not in repr(found)
    assert "hunter2" not in repr(found.webhooks["ops"])
    assert "hunter2" not in json.dumps(str(found))
