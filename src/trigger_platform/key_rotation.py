"""Changing the key of a database while servers use it.

Servers follow the keys in a file, so this makes the newest itself. Keys that servers are given are changed in
three steps: every server knows both (the older one first), then every server encrypts with the newer (it is
written first), then everything is encrypted anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from trigger_platform import key_file
from trigger_platform.engine import resealing
from trigger_platform.engine.unit import Units
from trigger_platform.key_file import KeyFile
from trigger_platform.key_ring import KeyRing, fresh_key
from trigger_platform.settings import Settings
from trigger_platform.store.database import Database
from trigger_platform.store.opening import open_database

__all__ = ["Rotated", "rotate"]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was done.

    Attributes:
        key: the id of the key that has sealed everything now.
        changed: how many values were encrypted anew.
        was_begun: whether a rotation that was interrupted was taken up, so that no new key was made.
        forgotten: the ids of the keys that were dropped from the file.
        older: the ids of the keys that nothing needs any more.
    """

    key: str
    changed: int
    was_begun: bool
    forgotten: tuple[str, ...]
    older: tuple[str, ...]


def rotate(settings: Settings, tell: Callable[[int], None], *, forget: bool = False) -> Rotated:
    """Encrypt everything with the newest key; of a file of keys make that one first.

    Args:
        settings: of the servers.
        tell: called after each slice with the number of values so far.
        forget: instead of making a key, drop those of the file that nothing needs any more.

    Raises:
        EncryptionError: a key is missing.
        StoreError: the database cannot be opened for writing.
    """
    source = key_file.source(settings)
    db = open_database(str(settings.database))
    try:
        return _rotate(db, source, tell, forget=forget)
    finally:
        db.close()


def _rotate(
    db: Database, source: KeyRing | KeyFile, tell: Callable[[int], None], *, forget: bool
) -> Rotated:
    ring = source.ring() if isinstance(source, KeyFile) else source
    units = Units(db, db.clock, random.Random(), ring)  # noqa: S311 - ids, no secrets
    was_begun = units.write_sync(resealing.is_pending)
    if isinstance(source, KeyFile) and not was_begun and not forget:
        source.add(fresh_key())
    changed = _reseal(units, tell)
    newest = ring.current
    forgotten: tuple[str, ...] = ()
    if isinstance(source, KeyFile) and forget:
        forgotten = source.keep(newest)
    older = tuple(id_ for id_ in ring.ids if id_ != newest and id_ not in forgotten)
    return Rotated(newest, changed, was_begun, forgotten, older)


def _reseal(units: Units, tell: Callable[[int], None]) -> int:
    """Go through everything until there is nothing left: servers may write while this goes on."""
    changed = 0
    while units.write_sync(resealing.is_pending):
        place: resealing.Place | None = resealing.START
        begun = changed
        while place is not None:
            changed = begun + place.changed
            tell(changed)
            place = units.write_sync(resealing.reseal, place)
    return changed
