"""What the guide to self-hosting tells people to write is what the server understands."""

from __future__ import annotations

import re
from pathlib import Path

from trigger_platform import configuration, exposure
from trigger_platform.settings import variable_of

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "self-host.md").read_text(encoding="utf-8")
OF_CLIENTS = {"TRIGGER_API_URL", "TRIGGER_SECRET_KEY", "TRIGGER_CONFIG", "TRIGGER_WORKER_TOKEN"}


def test_its_file_of_settings_is_that_of_a_server_that_starts(tmp_path: Path) -> None:
    """With a key as it says to make one."""
    found = re.search(r"cat > platform/trigger.toml <<'EOF'\n(.*?)EOF", GUIDE, re.DOTALL)
    assert found
    file, key = tmp_path / "trigger.toml", tmp_path / "key"
    file.write_text(found[1])
    key.write_text("q0Xn5vZk3b7Rt1Ww9Yc2Lm8Pd4Gf6HsJ/+Aa1Bb2Cc=\n")
    environ = {"TRIGGER_CONFIG": str(file), "TRIGGER_ENCRYPTION_KEY_FILE": str(key)}
    settings = configuration.load({}, environ).settings

    assert settings.is_public
    exposure.refuse_unsafe(settings)
    assert list(exposure.warnings(settings)) == []


def test_every_variable_and_setting_it_names_exists() -> None:
    """In the guide as in the list of settings."""
    known = {variable_of(name) for name in configuration.names()}
    named = {one.removesuffix("_FILE") for one in re.findall(r"TRIGGER_[A-Z_]+", GUIDE)}
    assert named <= known | OF_CLIENTS
    words = set(re.findall(r"`([a-z0-9]+_[a-z0-9_]+)`", GUIDE))
    metrics = {word for word in words if word.startswith("trigger_")}
    assert words - metrics <= set(configuration.names())
