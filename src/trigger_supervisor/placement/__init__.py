"""Ways to place a run: where the process of its runner comes from."""

__all__: list[str] = []
