"""The project's configuration: ``config = define_config(...)`` in ``trigger_config.py``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from trigger_core import duration
from trigger_core.duration import Duration
from trigger_core.errors import ConfigError, TriggerError
from trigger_core.machines import PRESETS, MachineName
from trigger_core.retry import RetryPolicy
from trigger_sdk.retry import Retry

__all__ = ["CONFIG_FILE", "Config", "define_config", "load"]

CONFIG_FILE = "trigger_config.py"
_MODULE = "trigger_config"


@dataclass(frozen=True, slots=True)
class Config:
    """A project's configuration, checked; durations in milliseconds."""

    project: str
    dirs: tuple[str, ...]
    ignore: tuple[str, ...]
    retry: RetryPolicy
    machine: MachineName | None
    max_duration_ms: int | None
    isolation: Literal["process", "reuse"]
    log_level: str
    max_concurrent_runs: int
    cancel_grace_ms: int
    env_files: tuple[str, ...]


def define_config(
    *,
    project: str,
    dirs: Sequence[str] = ("tasks",),
    ignore: Sequence[str] = (),
    retries: Retry | None = None,
    machine: MachineName | None = None,
    max_duration: Duration | None = None,
    isolation: Literal["process", "reuse"] = "process",
    log_level: str = "INFO",
    max_concurrent_runs: int = 32,
    cancel_grace: Duration = "30s",
    env_files: Sequence[str] = (".env", ".env.local"),
) -> Config:
    """Describe a project.

    Args:
        project: the project's reference, ``proj_`` and twenty letters.
        dirs: folders with task files, relative to the configuration.
        ignore: glob patterns of files in them to leave out.
        retries: for tasks that say nothing themselves.
        machine: preset for tasks that name none; its memory limit is then enforced.
        max_duration: limit of an attempt for tasks that name none.
        isolation: ``"process"`` (a fresh process per attempt) or ``"reuse"`` (warm processes).
        log_level: the least level of ``logging`` records that are kept.
        max_concurrent_runs: how many runs one worker executes at once; waiting runs do not count.
        cancel_grace: how long a canceled run may clean up before it is killed.
        env_files: files with environment variables for local runs, later ones win.

    Raises:
        ConfigError: a value is of the wrong kind; says which and why.
    """
    if not isinstance(project, str) or not project:
        raise ConfigError("'project' must be a text like 'proj_…'")
    if isolation not in {"process", "reuse"}:
        raise ConfigError(f"'isolation' must be 'process' or 'reuse', not {isolation!r}")
    if machine is not None and machine not in PRESETS:
        raise ConfigError(f"there is no machine preset {machine!r}", hint=", ".join(PRESETS))
    if not isinstance(max_concurrent_runs, int) or max_concurrent_runs < 1:
        raise ConfigError(f"'max_concurrent_runs' must be at least 1, not {max_concurrent_runs!r}")
    return Config(
        project=project,
        dirs=_texts("dirs", dirs),
        ignore=_texts("ignore", ignore),
        retry=(retries or Retry()).policy(),
        machine=machine,
        max_duration_ms=None if max_duration is None else duration.parse_ms(max_duration),
        isolation=isolation,
        log_level=log_level,
        max_concurrent_runs=max_concurrent_runs,
        cancel_grace_ms=duration.parse_ms(cancel_grace),
        env_files=_texts("env_files", env_files),
    )


def load(folder: Path) -> Config:
    """Execute ``trigger_config.py`` of a folder and return its ``config``.

    Raises:
        ConfigError: the file is missing, cannot be executed, or defines no configuration; with file and line.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise ConfigError(
            f"there is no {CONFIG_FILE} in {folder}",
            code="CONFIG_MISSING",
            hint="run `trigger init`, or change to the project's folder",
        )
    module = ModuleType(_MODULE)
    module.__file__ = str(file)
    try:
        code = compile(file.read_text(encoding="utf-8"), str(file), "exec")
        exec(code, module.__dict__)  # noqa: S102 - the configuration is the user's own code
    except Exception as error:
        raise _located(error, file) from error
    config: Any = getattr(module, "config", None)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{CONFIG_FILE} does not define a configuration",
            at=str(file),
            hint="write `config = define_config(project=…)`",
        )
    sys.modules[_MODULE] = module
    return config


def _located(error: Exception, file: Path) -> ConfigError:
    """Return the error with the line of the configuration that caused it."""
    if isinstance(error, SyntaxError):
        line, because = error.lineno, f"SyntaxError: {error.msg}"
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        line = frames[-1].lineno if frames else None
        cause = error.what if isinstance(error, TriggerError) else error
        because = f"{type(error).__name__}: {cause}"
    return ConfigError(
        f"{CONFIG_FILE} cannot be used",
        because=because,
        at=f"{file}:{line}" if line else str(file),
        hint=error.hint if isinstance(error, TriggerError) else "correct the file and save it",
    )


def _texts(name: str, values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{name!r} must be a list of texts", hint=f'{name}=["tasks"]')
    return tuple(values)
