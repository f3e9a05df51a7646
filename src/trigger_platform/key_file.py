"""The file of encryption keys that stands beside a SQLite file."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trigger_core.errors import EncryptionError
from trigger_platform.key_ring import Key, KeyRing, fresh_key, parse_keys
from trigger_platform.settings import Settings, variable_of
from trigger_platform.store.opening import is_server

__all__ = ["FILE", "KeyFile", "beside", "source"]

FILE = "secret.key"
_HEAD = "# Opens the secrets in the database of this folder. Keep a copy; never commit it. Newest first.\n"


def beside(database: str | None) -> Path | None:
    """Return where the keys of a SQLite file stand; a database server has no such place."""
    return None if database is None or is_server(database) else Path(database).with_name(FILE)


def source(settings: Settings) -> KeyRing | KeyFile:
    """Return the keys that are given, or the file that they stand in.

    Raises:
        EncryptionError: neither is there, or a key cannot be read.
    """
    if settings.encryption_key is not None:
        given = settings.encryption_key.get_secret_value()
        return KeyRing(parse_keys(given, at=variable_of("encryption_key")))
    place = settings.key_file or beside(settings.database)
    if place is None:
        raise EncryptionError(
            "there is no key for the secrets in the database",
            code="ENCRYPTION_KEY_MISSING",
            because="TRIGGER_ENCRYPTION_KEY is not set",
            hint="set it, the same for every server of this database, and keep a copy; "
            "make one with: openssl rand -base64 32",
        )
    return KeyFile(place)


class KeyFile:
    """A file of keys that only its owner can read; servers look at it again, so that it can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Tell whether there is one."""
        return self.path.exists()

    def ring(self) -> KeyRing:
        """Return a ring that follows the file.

        Raises:
            EncryptionError: there is none, or it cannot be used.
        """
        return KeyRing(self.read(), self.read)

    def read(self) -> tuple[Key, ...]:
        """Return its keys, newest first.

        Raises:
            EncryptionError: there is none, others can read it, or a key in it cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise EncryptionError(
                f"the key file {self.path} cannot be read",
                code="ENCRYPTION_KEY_MISSING",
                because=str(error),
                hint="put back the copy of it: what it encrypted opens with nothing else",
            ) from error
        if stat.S_IMODE(mode) & 0o077:
            raise EncryptionError(
                f"the key file {self.path} can be read by others",
                code="ENCRYPTION_KEY_EXPOSED",
                hint=f"chmod 600 {self.path}",
            )
        return parse_keys(_without_comments(text), at=str(self.path))

    def create(self) -> None:
        """Write a fresh key, unless another process was first."""
        self._write((fresh_key(),), replace=False)

    def add(self, key: Key) -> None:
        """Put a key before the others."""
        with self._alone():
            self._write((key, *self.read()), replace=True)

    def keep(self, key_id: str) -> tuple[str, ...]:
        """Drop all keys but one; return the ids of those that were dropped."""
        with self._alone():
            keys = self.read()
            self._write(tuple(key for key in keys if key.id == key_id), replace=True)
        return tuple(key.id for key in keys if key.id != key_id)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process change the file meanwhile: a key must not get lost."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, keys: tuple[Key, ...], *, replace: bool) -> None:
        """Write the file whole: who reads it sees all of it."""
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(_HEAD + "".join(f"{key.id}:{key.secret.hex()}\n" for key in keys))
            out.flush()
            os.fsync(out.fileno())
        try:
            if replace:
                draft.replace(self.path)
            else:
                os.link(draft, self.path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            draft.unlink(missing_ok=True)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
