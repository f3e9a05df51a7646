"""Identifiers: ``<prefix>_<body>`` with exactly one underscore (protocol section G).

Bodies made here sort by time: a 48-bit millisecond timestamp, 72 random bits, a region character and a
version character, 26 characters of lower-case base32hex in all.
"""

from __future__ import annotations

import hashlib
import random
import re
import secrets
from typing import NewType

__all__ = [
    "AFTER_RUNS",
    "BEFORE_RUNS",
    "BatchId",
    "EnvironmentId",
    "RunId",
    "WaitpointId",
    "WorkerId",
    "access_token",
    "additional_key",
    "batch_id",
    "before_runs_of",
    "bulk_action_id",
    "checkpoint_id",
    "deployment_id",
    "environment_id",
    "is_run_id",
    "organization_id",
    "project_ref",
    "queue_id",
    "run_id",
    "schedule_id",
    "schedule_instance_id",
    "secret_key",
    "sequence_of_snapshot",
    "short_code",
    "snapshot_id",
    "task_id",
    "token_id",
    "user_id",
    "waitpoint_id",
    "worker_group_id",
    "worker_id",
    "worker_token",
]

RunId = NewType("RunId", str)
BatchId = NewType("BatchId", str)
WaitpointId = NewType("WaitpointId", str)
WorkerId = NewType("WorkerId", str)
EnvironmentId = NewType("EnvironmentId", str)

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_REGION_AND_VERSION = "01"
_LAST_MS = 2**48 - 1

BEFORE_RUNS = "run_"
AFTER_RUNS = "run_z"
"""Texts that sort before and after every run id."""
_NANOID = "123456789abcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RUN_ID = re.compile(r"run_[0-9a-z]{21,26}\Z")


def _body(now: int, rng: random.Random) -> str:
    number = (now << 72) | rng.getrandbits(72)
    digits = [_PAIRS[(number >> shift) & 1023] for shift in range(110, -10, -10)]
    return "".join(digits) + _REGION_AND_VERSION


def run_id(now: int, rng: random.Random) -> RunId:
    """Return a fresh run id that sorts after every id of an earlier millisecond."""
    return RunId("run_" + _body(now, rng))


def before_runs_of(moment: int) -> str:
    """Return a text that sorts between the ids of runs made before a moment (ms) and those made later."""
    number = min(moment, _LAST_MS) << 72
    return "run_" + "".join(_PAIRS[(number >> shift) & 1023] for shift in range(110, -10, -10))


def batch_id(now: int, rng: random.Random) -> BatchId:
    """Return a fresh batch id."""
    return BatchId("batch_" + _body(now, rng))


def waitpoint_id(now: int, rng: random.Random) -> WaitpointId:
    """Return a fresh waitpoint id."""
    return WaitpointId("waitpoint_" + _body(now, rng))


def worker_id(now: int, rng: random.Random) -> WorkerId:
    """Return a fresh id for one registered version of the user's code."""
    return WorkerId("worker_" + _body(now, rng))


def environment_id(now: int, rng: random.Random) -> EnvironmentId:
    """Return a fresh environment id; environments carry no prefix on the wire."""
    return EnvironmentId(_body(now, rng))


def organization_id(now: int, rng: random.Random) -> str:
    """Return a fresh organisation id."""
    return "org_" + _body(now, rng)


def user_id(now: int, rng: random.Random) -> str:
    """Return a fresh user id."""
    return "user_" + _body(now, rng)


def token_id(now: int, rng: random.Random) -> str:
    """Return a fresh id for a token or a key, by which it is listed and revoked."""
    return "token_" + _body(now, rng)


def worker_group_id(now: int, rng: random.Random) -> str:
    """Return a fresh id for a group of supervisors."""
    return "group_" + _body(now, rng)


def queue_id(now: int, rng: random.Random) -> str:
    """Return a fresh queue id."""
    return "queue_" + _body(now, rng)


def bulk_action_id(now: int, rng: random.Random) -> str:
    """Return a fresh id of an action on many runs."""
    return "bulk_" + _body(now, rng)


def checkpoint_id(now: int, rng: random.Random) -> str:
    """Return a fresh checkpoint id."""
    return "checkpoint_" + _body(now, rng)


def deployment_id(rng: random.Random) -> str:
    """Return a fresh deployment id: 21 characters without 0 and l."""
    return "deployment_" + "".join(rng.choices(_NANOID, k=21))


def short_code(rng: random.Random) -> str:
    """Return a fresh short code of a deployment: 8 characters."""
    return "".join(rng.choices(_BASE36, k=8))


def schedule_id(now: int, rng: random.Random) -> str:
    """Return a fresh schedule id."""
    return "sched_" + _body(now, rng)


def schedule_instance_id(now: int, rng: random.Random) -> str:
    """Return a fresh id for a schedule in an environment; it is never shown."""
    return _body(now, rng)


def task_id(worker: str, slug: str) -> str:
    """Return the id of a task of a version: it has none of its own."""
    number = int.from_bytes(hashlib.sha256(f"{worker}/{slug}".encode()).digest()[:14])
    return "task_" + "".join(_NANOID[number // 34**place % 34] for place in range(21))


def snapshot_id(run: str, sequence: int) -> str:
    """Return the id of a run's execution snapshot; ids of one run sort by sequence."""
    return f"snapshot_{run.removeprefix('run_')}{sequence:08d}"


def sequence_of_snapshot(snapshot: str) -> int:
    """Return the sequence number inside an id made by :func:`snapshot_id`.

    Raises:
        ValueError: the text is not such an id.
    """
    return int(snapshot.removeprefix("snapshot_")[-8:])


def is_run_id(text: str) -> bool:
    """Tell whether the text has the form of a run id."""
    return _RUN_ID.match(text) is not None


def project_ref() -> str:
    """Return a fresh project reference: ``proj_`` and 20 lower-case letters."""
    return "proj_" + "".join(secrets.choice(_LETTERS) for _ in range(20))


def secret_key(slug: str) -> str:
    """Return a fresh root secret key of an environment, for example ``tr_dev_…``."""
    return f"tr_{slug}_{_letters(24)}"


def access_token(kind: str) -> str:
    """Return a fresh access token, of a user (``pat``) or an organisation (``oat``)."""
    return f"tr_{kind}_{_letters(40)}"


def worker_token() -> str:
    """Return a fresh token of a group of supervisors."""
    return f"tr_wgt_{_letters(40)}"


def additional_key(word: str) -> str:
    """Return a fresh key beside an environment's root key, for example ``tr_prod_sk_…``."""
    return f"tr_{word}_sk_{_letters(24)}"


def _letters(count: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(count))
