"""Payloads given on the command line: JSON text, ``@file.json``, or ``-`` for stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from trigger_core.errors import PayloadTooLargeError, UsageError
from trigger_core.packet import MAX_PAYLOAD_BYTES

__all__ = ["parse"]


def parse(given: str | None) -> Any:
    """Return the payload.

    Raises:
        UsageError: it is not JSON, or the file cannot be read.
        PayloadTooLargeError: it is over 3 MiB.
    """
    if given is None:
        return None
    text, source = _read(given)
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLargeError(
            f"the payload has {len(text.encode()):,} bytes, {MAX_PAYLOAD_BYTES:,} are allowed",
            hint="put the data in a file or an object store and pass its address",
        )
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            "the payload is not JSON",
            code="PAYLOAD_NOT_JSON",
            because=str(error),
            at=source,
            hint="""quote it for the shell: '{"message": "hi"}', or a text as '"hi"'""",
        ) from error


def _read(given: str) -> tuple[str, str | None]:
    if given == "-":
        return sys.stdin.read(), "stdin"
    if not given.startswith("@"):
        return given, None
    file = Path(given[1:])
    try:
        return file.read_text(encoding="utf-8"), str(file)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the payload file {file} cannot be read", code="PAYLOAD_UNREADABLE", because=str(error)
        ) from error
