"""Connections to PostgreSQL, and its complaints in our words."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from trigger_core.errors import ConflictingWriteError, NumberOutOfRangeError, StoreError
from trigger_platform.store.postgres.address import Address

__all__ = [
    "Connection",
    "connect",
    "is_conflict",
    "is_lost",
    "outcome_unknown",
    "translate",
    "unreachable",
]

Connection = psycopg.Connection[tuple[Any, ...]]

_OLDEST = 140_000
_CONNECT_S = 5
_OPTIONS: dict[str, str | int] = {
    "connect_timeout": _CONNECT_S,
    "application_name": "trigger",
    "client_encoding": "UTF8",
    "target_session_attrs": "read-write",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_CONFLICTS = (
    ConflictingWriteError,
    errors.UniqueViolation,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
)
_LOST = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
)
_DENIED = ("28P01", "28000")


def connect(address: Address) -> Connection:
    """Open a connection; its transactions are begun and ended by statements of ours.

    Raises:
        StoreError: the server cannot be reached, refuses, or is too old.
    """
    try:
        connection = psycopg.connect(address.url, autocommit=True, **_missing(address))
    except psycopg.Error as error:
        raise _refused(error, address) from error
    if connection.info.server_version < _OLDEST:
        found = connection.info.parameter_status("server_version")
        connection.close()
        raise StoreError(
            f"the server at {address.shown} is too old",
            code="STORE_SERVER_TOO_OLD",
            because=f"it is PostgreSQL {found}, the oldest that serves is 14",
            hint="use PostgreSQL 14 or newer",
        )
    _adapt(connection)
    connection.prepare_threshold = 0 if address.prepares else None
    connection.prepared_max = 1_000
    return connection


def is_conflict(error: BaseException) -> bool:
    """Tell whether the same write, run again, may find another world and succeed."""
    return isinstance(error, _CONFLICTS)


def is_lost(error: BaseException, connection: Connection, *, writes: bool) -> bool:
    """Tell whether the connection is of no more use; to a writer one to a standby is not."""
    if writes and isinstance(error, errors.ReadOnlySqlTransaction):
        return True
    return connection.closed or connection.broken or isinstance(error, _LOST)


def translate(error: BaseException, address: Address) -> BaseException:
    """Say in our words what PostgreSQL complains about; other errors stay as they are."""
    if isinstance(error, OverflowError):
        return NumberOutOfRangeError("a number is too large to be kept", because=str(error))
    if not isinstance(error, psycopg.Error):
        return error
    if isinstance(error, errors.NumericValueOutOfRange):
        return NumberOutOfRangeError("a number is too large to be kept", because=_first_line(error))
    if isinstance(error, _CONFLICTS) and not isinstance(error, errors.UniqueViolation):
        busy = StoreError(
            f"the database {address.shown} is too busy with other writes of the same rows",
            code="STORE_BUSY",
            because=_first_line(error),
            hint="try again",
        )
        busy.status, busy.retryable = 503, True
        return busy
    return StoreError(
        f"the database {address.shown} refused a statement", because=_first_line(error)
    )


def unreachable(address: Address, because: str) -> StoreError:
    """Return the error for a server that does not answer."""
    error = StoreError(
        f"the database {address.shown} cannot be reached",
        code="STORE_UNREACHABLE",
        because=because,
        hint="check that the server runs and that host, port and name of the database are right",
    )
    error.status, error.retryable = 503, True
    return error


def outcome_unknown(address: Address, because: str) -> StoreError:
    """Return the error for a commit of which nobody can tell whether it happened."""
    error = StoreError(
        f"the database {address.shown} went away during a commit, which may have happened",
        code="STORE_OUTCOME_UNKNOWN",
        because=because,
        hint="send the request again with the same idempotency key: it is then answered as if sent once",
    )
    error.status, error.retryable = 503, True
    return error


class _NumberLoader(Loader):
    """Sums of big integers come as ``numeric``: whole numbers stay whole."""

    def load(self, data: bytes | bytearray | memoryview) -> int | float:
        """Return the number."""
        text = bytes(data).decode()
        return float(text) if "." in text else int(text)


def _adapt(connection: Connection) -> None:
    """Give parameters one type each, whatever their value, so that a statement is prepared once."""
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(bool, Int8Dumper)
    connection.adapters.register_dumper(str, StrDumper)
    connection.adapters.register_loader("numeric", _NumberLoader)


def _missing(address: Address) -> dict[str, Any]:
    """Return our defaults for what the address leaves open."""
    given = psycopg.conninfo.conninfo_to_dict(address.url)
    return {name: value for name, value in _OPTIONS.items() if name not in given}


def _refused(error: psycopg.Error, address: Address) -> StoreError:
    text = _first_line(error)
    if "password" in text or "authentication" in text or error.sqlstate in _DENIED:
        return StoreError(
            f"the database {address.shown} does not let us in",
            code="STORE_ACCESS_DENIED",
            because=text,
            hint="check user and password in the address, and the server's pg_hba.conf",
        )
    return unreachable(address, text)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
