"""Defaults: a server that others reach starts with secrets of its own, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.dev import run_cli
from support.http import PROJECT


@pytest.mark.parametrize("given", ["", "changeme", "0" * 64, "secret"])
def test_defaults_a_public_server_does_not_start_with_a_guessable_secret(
    tmp_path: Path, given: str
) -> None:
    """The matrix of what is missing: ``operation/test_settings.py``."""
    environ = {"TRIGGER_ENCRYPTION_KEY": given, "TRIGGER_PUBLIC_URL": "https://t.example"}
    start = ("server", "start", "--database", "x.db", "--project", PROJECT, "--host", "0.0.0.0")  # noqa: S104
    shown = run_cli(*start, cwd=tmp_path, env=environ)

    assert shown.returncode == 2
    assert "error UNSAFE_EXPOSURE" in shown.stderr
    assert not given or given not in shown.stderr
    assert not (tmp_path / "x.db").exists()
