"""Indexing: import a project's task files and report what they declare, or what is wrong with them."""

from __future__ import annotations

import hashlib
import importlib
import platform
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trigger_core import duration
from trigger_core.errors import ConfigError, TriggerError
from trigger_core.schemas.schedules import ScheduleDeclaration
from trigger_core.schemas.workers import (
    MachineDeclaration,
    QueueDeclaration,
    TaskDeclaration,
    WorkerMetadata,
)
from trigger_sdk import config as project_config
from trigger_sdk._registry import registry
from trigger_sdk.config import Config
from trigger_sdk.task import Task, TaskSpec
from trigger_worker.sources import Sources, is_own

__all__ = ["Index", "import_tasks", "index", "project_files"]


@dataclass(frozen=True, slots=True)
class Index:
    """What a project consists of."""

    config: Config
    metadata: WorkerMetadata
    files: list[str]
    async_tasks: list[str] = field(default_factory=list)


def index(sources: Sources) -> Index:
    """Import the project's tasks and describe them.

    Raises:
        ConfigError: the configuration or a task file is wrong; says in which file and line.
    """
    folder = sources.folder
    config = import_tasks(sources)
    _refuse_duplicates(folder)
    tasks = [_declare(task, config, folder) for task in registry.tasks.values()]
    files = sorted(project_files(folder))
    metadata = WorkerMetadata(
        package_version=_own_version(),
        content_hash=_hash(files, sources),
        runtime="python",
        runtime_version=platform.python_version(),
        tasks=tasks,
        queues=[
            QueueDeclaration(name=queue.name, concurrency_limit=queue.concurrency_limit)
            for queue in registry.queues.values()
        ],
    )
    asynchronous = [task.id for task in registry.tasks.values() if task.spec.is_async]
    return Index(config, metadata, files, asynchronous)


def import_tasks(sources: Sources) -> Config:
    """Load the configuration and import every task file; tasks register themselves."""
    folder = sources.folder
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    sources.install()
    configuration = folder / project_config.CONFIG_FILE
    if configuration.is_file():
        sources.read(configuration)  # before it is executed: a save meanwhile makes a new version
    config = project_config.load(folder)
    for file in _task_files(sources, config):
        _import(file, folder)
    return config


def _task_files(sources: Sources, config: Config) -> Iterator[Path]:
    folder = sources.folder
    for name in config.dirs:
        for file in sorted((folder / name).rglob("*.py")):
            relative = file.relative_to(folder).as_posix()
            ignored = any(fnmatch(relative, pattern) for pattern in config.ignore)
            is_later = sources.given is not None and str(file) not in sources.given
            if not ignored and not is_later and "__pycache__" not in file.parts:
                yield file


def _import(file: Path, folder: Path) -> None:
    parts = file.relative_to(folder).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_failed(error, file, folder) from error


def _import_failed(error: BaseException, file: Path, folder: Path) -> ConfigError:
    relative = file.relative_to(folder)
    return ConfigError(
        f"{relative} cannot be imported",
        code="TASK_IMPORT_FAILED",
        because=_because(error),
        at=_where(error, file, folder),
        hint=(error.hint if isinstance(error, TriggerError) else None) or "correct it and save",
    )


def _because(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}"
    text = error.what if isinstance(error, TriggerError) else str(error)
    return f"{type(error).__name__}: {text}"


def _where(error: BaseException, file: Path, folder: Path) -> str:
    """Return the place in the project's own files that the error comes from."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(Path(error.filename), folder)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_own(Path(frame.filename), folder)]
    if not own:
        return str(_relative(file, folder))
    return f"{_relative(Path(own[-1].filename), folder)}:{own[-1].lineno}"


def _relative(file: Path, folder: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def _refuse_duplicates(folder: Path) -> None:
    for duplicate in registry.duplicates:
        first, second = (_place(spec, folder) for spec in (duplicate.first, duplicate.second))
        raise ConfigError(
            f"two tasks have the id {duplicate.second.id!r}",
            code="TASK_ID_DUPLICATE",
            because=f"{first} and {second}",
            at=second,
            hint="give one of them another id",
        )


def _place(spec: TaskSpec, folder: Path) -> str:
    return f"{_relative(Path(spec.file_path), folder)}:{spec.line}"


def _declare(task: Task[..., Any], config: Config, folder: Path) -> TaskDeclaration:
    spec = task.spec
    max_duration_ms = spec.max_duration_ms or config.max_duration_ms
    machine = spec.machine or config.machine
    return TaskDeclaration(
        id=spec.id,
        file_path=str(_relative(Path(spec.file_path), folder)),
        export_name=spec.export_name,
        line=spec.line,
        description=spec.description,
        queue=_declare_queue(spec),
        retry=(spec.retry or config.retry).to_wire(),
        machine=MachineDeclaration(preset=machine) if machine else None,
        max_duration=max_duration_ms / 1000 if max_duration_ms else None,
        ttl=duration.describe(spec.ttl_ms) if spec.ttl_ms is not None else None,
        isolation=spec.isolation or config.isolation,
        payload_schema=task.signature.schema(),
        trigger_source="schedule" if spec.is_scheduled else None,
        schedule=_declare_schedule(spec),
    )


def _declare_schedule(spec: TaskSpec) -> ScheduleDeclaration | None:
    if spec.schedule is None:
        return None
    return ScheduleDeclaration.model_validate(spec.schedule.to_wire())


def _declare_queue(spec: TaskSpec) -> QueueDeclaration | None:
    if spec.queue is None:
        return None
    return QueueDeclaration(name=spec.queue.name, concurrency_limit=spec.queue.concurrency_limit)


def project_files(folder: Path) -> set[str]:
    """Return the project's own files that are loaded, and its configuration."""
    found = {str(folder / project_config.CONFIG_FILE)}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if name and is_own(Path(name), folder):
            found.add(str(Path(name)))
    return found


def _hash(files: list[str], sources: Sources) -> str:
    digest = hashlib.sha256(_own_version().encode())
    for name in files:
        digest.update(name.encode())
        digest.update(sources.digest(name))
    return digest.hexdigest()


def _own_version() -> str:
    try:
        return version("trigger-dev")
    except PackageNotFoundError:
        return "0"
