"""Words and pure rules shared by every floor: ids, durations, retry maths, packets, errors, wire schemas."""

__all__: list[str] = []
