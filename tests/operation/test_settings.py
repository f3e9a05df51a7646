"""Settings: where they come from, what is refused, and that no secret is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.dev import run_cli
from trigger_core.errors import UsageError
from trigger_platform import configuration, exposure
from trigger_platform.settings import Settings, require_loopback

KEY = "q0Xn5vZk3b7Rt1Ww9Yc2Lm8Pd4Gf6HsJ"
PUBLIC = {"host": "0.0.0.0", "public_url": "https://t.example", "encryption_key": KEY}  # noqa: S104


def test_an_option_beats_a_variable_a_variable_the_file_and_the_file_the_default(
    tmp_path: Path,
) -> None:
    """And each value knows where it comes from."""
    file = tmp_path / "trigger.toml"
    file.write_text('host = "192.0.2.1"\nport = 1\nkeep_runs = "2d"\n')
    environ = {"TRIGGER_PORT": "2", "TRIGGER_HOST": "192.0.2.2"}
    loaded = configuration.load({"host": "192.0.2.3", "port": None}, environ, file)

    assert (loaded.settings.host, loaded.settings.port) == ("192.0.2.3", 2)
    assert loaded.settings.periods.runs_ms == 2 * 86_400_000
    origins = {one.name: one.origin for one in loaded.shown()}
    assert origins["host"] == "--host"
    assert origins["port"] == "TRIGGER_PORT"
    assert origins["keep_runs"] == f"file {file}"
    assert origins["keep_logs"] == "default"


def test_the_environment_may_name_the_file_and_a_file_may_hold_a_secret(tmp_path: Path) -> None:
    """As orchestrators mount them; the line break at its end is no part of it."""
    (tmp_path / "trigger.toml").write_text("port = 7\n")
    (tmp_path / "key").write_text(KEY + "\n")
    environ = {
        "TRIGGER_CONFIG": str(tmp_path / "trigger.toml"),
        "TRIGGER_ENCRYPTION_KEY_FILE": str(tmp_path / "key"),
    }
    settings = configuration.load({}, environ).settings

    assert settings.port == 7
    assert settings.encryption_key is not None
    assert settings.encryption_key.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("environ", "file", "code", "says"),
    [
        ({"TRIGGER_PORT": "high"}, "", "SETTING_INVALID", "TRIGGER_PORT"),
        ({"TRIGGER_PORT": "70000"}, "", "SETTING_INVALID", "65535"),
        ({"TRIGGER_KEEP_RUNS": "for ever"}, "", "SETTING_INVALID", "TRIGGER_KEEP_RUNS"),
        ({"TRIGGER_PUBLIC_URL": "t.example"}, "", "SETTING_INVALID", "https://"),
        ({"TRIGGER_TRUSTED_PROXIES": "proxy"}, "", "SETTING_INVALID", "trusted_proxies"),
        ({}, "hots = '::1'", "SETTING_UNKNOWN", "did you mean host?"),
        ({}, "durable = false", "SETTING_UNKNOWN", "durable"),
        ({}, "port: 1", "SETTINGS_UNREADABLE", "cannot be read"),
        ({"TRIGGER_ENCRYPTION_KEY_FILE": "/nowhere"}, "", "SETTINGS_UNREADABLE", "/nowhere"),
    ],
)
def test_a_wrong_setting_is_named_with_where_it_comes_from(
    tmp_path: Path, environ: dict[str, str], file: str, code: str, says: str
) -> None:
    """Before anything is started."""
    (tmp_path / "trigger.toml").write_text(file)
    with pytest.raises(UsageError) as caught:
        configuration.load({}, environ, tmp_path / "trigger.toml")

    assert caught.value.code == code
    assert says in str(caught.value)


def test_what_is_shown_has_no_secret(tmp_path: Path) -> None:
    """Not even the password in an address, or in the error about it."""
    environ = {
        "TRIGGER_ENCRYPTION_KEY": KEY,
        "TRIGGER_DATABASE": "postgresql://u:hunter2@db.example:5432/t?password=hunter2",
    }
    for options in ([], ["--json"]):
        shown = run_cli("server", "config", *options, cwd=tmp_path, env=environ)
        assert shown.returncode == 0, shown.stderr
        assert KEY not in shown.stdout
        assert "hunter2" not in shown.stdout
        assert "db.example:5432/t" in shown.stdout
    listed = json.loads(shown.stdout)
    assert [one["name"] for one in listed] == configuration.names()
    assert all(one["meaning"] for one in listed)
    assert {one["origin"] for one in listed if one["name"] == "port"} == {"default"}


def test_a_wrong_secret_is_not_repeated_in_the_error(tmp_path: Path) -> None:
    """The value of another type would be."""
    file = tmp_path / "trigger.toml"
    file.write_text("encryption_key = 1234567890\n")
    with pytest.raises(UsageError) as caught:
        configuration.load({}, {}, file)
    assert "1234567890" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"public_url": None}, "TRIGGER_PUBLIC_URL"),
        ({"encryption_key": None}, "TRIGGER_ENCRYPTION_KEY"),
        ({"encryption_key": "changeme"}, "no random text"),
        ({"encryption_key": "a" * 44}, "no random text"),
        ({"host": "192.0.2.1", "encryption_key": None}, "TRIGGER_ENCRYPTION_KEY"),
        ({"host": "::", "encryption_key": None}, "TRIGGER_ENCRYPTION_KEY"),
        ({"host": "127.0.0.1", "encryption_key": None}, "TRIGGER_ENCRYPTION_KEY"),
        (
            {"host": "127.0.0.1", "public_url": None, "allowed_hosts": "t.example"},
            "TRIGGER_PUBLIC_URL",
        ),
    ],
)
def test_a_public_server_does_not_start_without_its_secrets(
    change: dict[str, str | None], says: str
) -> None:
    """Also when only a proxy makes it public. The error says how to mend it."""
    settings = Settings.model_validate(PUBLIC | change)
    with pytest.raises(UsageError, match="not ready for a public address") as caught:
        exposure.refuse_unsafe(settings)

    assert caught.value.code == "UNSAFE_EXPOSURE"
    assert says in str(caught.value)


def test_with_its_secrets_it_starts_and_without_encryption_it_warns() -> None:
    """A server of this machine alone needs none."""
    exposure.refuse_unsafe(Settings.model_validate(PUBLIC))
    exposure.refuse_unsafe(Settings())

    assert list(exposure.warnings(Settings.model_validate(PUBLIC))) == []
    plain = Settings.model_validate(PUBLIC | {"public_url": "http://t.example"})
    assert ["https" in one for one in exposure.warnings(plain)] == [True]


@pytest.mark.parametrize(
    "change",
    [{"host": "0.0.0.0"}, {"public_url": "https://t.example"}, {"allowed_hosts": "t"}],  # noqa: S104
)
def test_the_embedded_platform_stays_on_this_machine(change: dict[str, str]) -> None:
    """Its dashboard has no login."""
    require_loopback(Settings())
    with pytest.raises(UsageError) as caught:
        require_loopback(Settings.model_validate(change))
    assert caught.value.code == "NOT_LOOPBACK"
