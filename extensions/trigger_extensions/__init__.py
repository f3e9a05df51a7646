"""First-party build extensions; each one lives in a module of its own."""

__all__: list[str] = []
