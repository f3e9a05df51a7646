"""A dump: every row of a database in one zip file, in a form that both databases can be filled from.

``manifest.json`` says what is in it, ``tables/<name>.jsonl`` has the columns of a table in its first line and
a row in each of the others, ``blobs/`` has files. Tables stand in the order in which they refer to each
other. The manifest is written last: a file without one was never finished.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from trigger_core.errors import StoreError

__all__ = ["Dump", "Manifest", "Source", "Table", "in_order", "opened", "write"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_BLOBS = "blobs/"
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError,
    OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError,
)  # fmt: skip
"""What reading a damaged archive ends in: of some bits the library makes an encrypted or unknown form."""

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ours."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a dump says of itself.

    Attributes:
        format: the number of this form.
        schema: the number of the schema whose rows it has.
        created_at: when the rows were read (ms).
        rows: how many rows each table has, in the order of the tables.
        blobs: how many files there are.
    """

    format: int
    schema: int
    created_at: int
    rows: Mapping[str, int]
    blobs: int


class Source(Protocol):
    """A database that is read on one snapshot."""

    @property
    def schema(self) -> int:
        """The number of its schema."""
        ...

    @property
    def now(self) -> int:
        """When the snapshot was taken (ms)."""
        ...

    def tables(self) -> list[Table]:
        """Return the tables, those first that others refer to."""
        ...

    def rows(self, table: Table) -> Iterator[Row]:
        """Yield every row."""
        ...


def in_order(tables: Iterable[Table], references: Iterable[tuple[str, str]]) -> list[Table]:
    """Return tables so that each comes after those it refers to; ``references`` are (from, to)."""
    named = {table.name: table for table in sorted(tables, key=lambda table: table.name)}
    graph: dict[str, set[str]] = {name: set() for name in named}
    for one, other in references:
        if one != other:
            graph[one].add(other)
    return [named[name] for name in TopologicalSorter(graph).static_order()]


def write(file: Path, source: Source, blobs: Path | None) -> Manifest:
    """Write a dump; the file is whole and on the disk, or it is not there.

    Raises:
        StoreError: the file cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("xb") as out:
            manifest = _fill(out, source, blobs)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise StoreError(
            f"the file {file} cannot be written", code="BACKUP_FAILED", because=str(error)
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _fill(out: Any, source: Source, blobs: Path | None) -> Manifest:
    rows: dict[str, int] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for table in source.tables():
            rows[table.name] = _write_table(archive, table, source.rows(table))
        count = _write_blobs(archive, blobs) if blobs is not None and blobs.is_dir() else 0
        manifest = Manifest(_FORMAT, source.schema, source.now, rows, count)
        archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=2))
    return manifest


def _write_table(archive: zipfile.ZipFile, table: Table, rows: Iterable[Row]) -> int:
    count = 0
    with archive.open(_member(table.name), "w", force_zip64=True) as out:
        out.write(to_json(table.columns) + b"\n")
        for row in rows:
            out.write(to_json(row) + b"\n")
            count += 1
    return count


def _write_blobs(archive: zipfile.ZipFile, folder: Path) -> int:
    """Add the files; one that is removed meanwhile is needed by nothing that is in the dump."""
    count = 0
    for file in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):
            if file.is_file():
                archive.write(file, _BLOBS + file.relative_to(folder).as_posix())
                count += 1
    return count


class Dump:
    """A dump that is read."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self.manifest = self._read_manifest()

    def tables(self) -> list[Table]:
        """Return its tables in order."""
        found = []
        for name in self.manifest.rows:
            with self._archive.open(_member(name)) as lines:
                found.append(Table(name, tuple(from_json(lines.readline()))))
        return found

    def rows(self, table: Table) -> Iterator[list[Any]]:
        """Yield the rows of a table."""
        with self._archive.open(_member(table.name)) as lines:
            lines.readline()
            for line in lines:
                yield from_json(line)

    def verify(self) -> None:
        """Read everything and compare it with the manifest.

        Raises:
            StoreError: something is missing or damaged.
        """
        try:
            broken = self._archive.testzip()
            counts = {table.name: sum(1 for _ in self.rows(table)) for table in self.tables()}
        except _UNREADABLE as error:
            raise damaged(self._path, str(error)) from error
        if broken is not None or counts != self.manifest.rows:
            raise damaged(self._path, f"{broken or 'the number of rows'} is not what it was")

    def unpack_blobs(self, folder: Path) -> None:
        """Write the files into a folder; one that is there already is the same."""
        root = folder.resolve()
        for name in self._archive.namelist():
            target = (root / name.removeprefix(_BLOBS)).resolve()
            if not name.startswith(_BLOBS) or target.exists() or not target.is_relative_to(root):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._archive.open(name) as source, target.open("xb") as out:
                shutil.copyfileobj(source, out)

    def _read_manifest(self) -> Manifest:
        try:
            manifest = Manifest(**json.loads(self._archive.read(_MANIFEST)))
        except _UNREADABLE as error:
            raise damaged(self._path, f"{_MANIFEST}: {error}") from error
        if manifest.format != _FORMAT:
            raise StoreError(
                f"{self._path} was written by a newer version",
                code="BACKUP_TOO_NEW",
                because=f"its form is number {manifest.format}, this version knows {_FORMAT}",
                hint="update trigger-dev",
            )
        return manifest


@contextmanager
def opened(path: Path) -> Iterator[Dump]:
    """Open a dump.

    Raises:
        StoreError: it cannot be read, or is none.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise damaged(path, str(error)) from error
    with archive:
        yield Dump(path, archive)


def damaged(path: Path, because: str) -> StoreError:
    """Return the error for a file that is no dump, or no longer a whole one."""
    return StoreError(
        f"{path} is no backup that can be read",
        code="BACKUP_DAMAGED",
        because=because,
        hint="use another backup; nothing was changed",
    )


def _member(name: str) -> str:
    return f"tables/{name}.jsonl"
