"""How often a caller may call: a bucket of tokens that fills up again by and by (protocol 0.8).

Buckets live in the process, because that is what they guard: several processes allow several times as much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from starlette.responses import Response

from trigger_core.errors import RateLimitedError
from trigger_platform.settings import Settings

__all__ = ["Buckets", "Counted", "Limit", "RateLimits", "Verdict", "refusal"]

_MOST_BUCKETS = 10_000
_TYPE = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/429"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket's size, and how many tokens come back in a second."""

    size: int
    per_second: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may be; ``reset`` is when the next one may (ms), or when the bucket is full again."""

    is_allowed: bool
    limit: int
    remaining: int
    reset: int

    def tell(self, response: Response) -> Response:
        """Add the headers that tell of it, as bytes: every answer has them."""
        response.raw_headers += [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset),
        ]
        return response


class Buckets:
    """The buckets of one limit, by caller."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._buckets: dict[int, _Bucket] = {}

    def take(self, caller: int, now: int) -> Verdict:
        """Take a token for one call at a moment (ms), if there is one."""
        size, per_ms = self._limit.size, self._limit.per_second / 1000
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._open(caller, now)
        bucket.tokens = min(size, bucket.tokens + max(0, now - bucket.at) * per_ms)
        bucket.at = now
        is_allowed = bucket.tokens >= 1
        if is_allowed:
            bucket.tokens -= 1
        missing = size - bucket.tokens if is_allowed else 1 - bucket.tokens
        reset = now + max(1, round(missing / per_ms))
        return Verdict(is_allowed, size, int(bucket.tokens), reset)

    def _open(self, caller: int, now: int) -> _Bucket:
        """Begin to count a caller; those that have not called for the longest are forgotten first."""
        if len(self._buckets) >= _MOST_BUCKETS:
            oldest = sorted(self._buckets, key=lambda one: self._buckets[one].at)
            for one in oldest[: _MOST_BUCKETS // 10]:
                del self._buckets[one]
        bucket = self._buckets[caller] = _Bucket(self._limit.size, now)
        return bucket


class Counted(Enum):
    """In which bucket of the caller a route's calls are counted."""

    CALLS = "calls"
    DEPLOYING = "deploying"


class RateLimits:
    """The limits of a server: for keys, for who deploys, for public tokens; ``None`` where there is none.

    Who deploys asks often for a short while. It must not be refused because runs are triggered with the same
    key, nor keep them from being triggered.
    """

    def __init__(self, settings: Settings) -> None:
        size = _size(settings.rate_limit, 750, settings)
        deploying = _size(settings.deployment_rate_limit, 1_500, settings)
        public = _size(settings.public_rate_limit, 60, settings)
        self._public = Buckets(Limit(public, public / 60)) if public else None
        self._buckets = {
            Counted.CALLS: Buckets(Limit(size, settings.rate_refill)) if size else None,
            Counted.DEPLOYING: Buckets(Limit(deploying, settings.deployment_rate_refill))
            if deploying
            else None,
        }

    def take(
        self, credential: str, counted: Counted = Counted.CALLS, *, is_public: bool, now: int
    ) -> Verdict | None:
        """Count a call of somebody who was let in; ``None`` where nothing is counted."""
        buckets = self._public if is_public else self._buckets[counted]
        return None if buckets is None else buckets.take(hash(credential), now)


def _size(given: int | None, usual: int, settings: Settings) -> int:
    if given is not None:
        return given
    return usual if settings.is_public else 0


def refusal(verdict: Verdict, now: int) -> Response:
    """Return the answer to a call too many."""
    seconds = max(1, -(-(verdict.reset - now) // 1000))
    text = f"Rate limit exceeded: {verdict.limit} calls at once. Retry in {seconds} seconds."
    body = {
        "title": "Rate Limit Exceeded",
        "status": 429,
        "type": _TYPE,
        "detail": text,
        "reset": verdict.reset,
        "limit": verdict.limit,
        "remaining": verdict.remaining,
        "secondsUntilReset": seconds,
        "error": text,
        "code": RateLimitedError.code,
    }
    headers = {"retry-after": str(seconds), "x-should-retry": "true"}
    return verdict.tell(Response(json.dumps(body), 429, headers, "application/problem+json"))
