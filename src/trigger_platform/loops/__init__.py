"""Background loops: each has one verb."""

__all__: list[str] = []
