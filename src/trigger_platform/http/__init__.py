"""HTTP: routes as data, each with its access rule, over the engine."""

__all__: list[str] = []
