"""What a server counts of itself, and the text form in which Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Family", "Histogram", "Metrics", "Sample", "exposition"]

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One number; ``suffix`` is put behind the name of its family."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name."""

    name: str
    kind: str
    meaning: str
    samples: Iterable[Sample]


class Histogram:
    """How often something took how long."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def samples(self, labels: Mapping[str, str]) -> Iterator[Sample]:
        """Yield the buckets, the sum and the count."""
        total = 0
        for limit, count in zip((*map(str, _BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            yield Sample(total, {**labels, "le": limit}, "_bucket")
        yield Sample(self._sum, labels, "_sum")
        yield Sample(total, labels, "_count")


class Metrics:
    """What this process counts while it serves."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], Histogram] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; the answer of a stream counts from its beginning."""
        key = (method, route, status)
        histogram = self._requests.get(key)
        if histogram is None:
            histogram = self._requests[key] = Histogram()
        histogram.observe(seconds)

    def requests(self) -> Iterator[Sample]:
        """Yield how long requests took, by method, route and status."""
        for (method, route, status), histogram in sorted(self._requests.items()):
            labels = {"method": method, "route": route, "status": str(status)}
            yield from histogram.samples(labels)


def exposition(families: Iterable[Family]) -> str:
    """Return the text form (version 0.0.4)."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.meaning}\n# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_text(value)}"' for name, value in sample.labels.items())
        braced = f"{{{labels}}}" if labels else ""
        yield f"{family.name}{sample.suffix}{braced} {sample.value:.10g}\n"


def _text(value: str) -> str:
    return value.translate(_ESCAPES)
