"""The platform's HTTP API, described once (``calls``) and sent by a sync or an async client."""

__all__: list[str] = []
