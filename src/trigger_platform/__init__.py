"""The server: HTTP API, run engine, background loops and dashboard over one database."""

__all__: list[str] = []
