"""Where large payloads and outputs lie: the platform hands out addresses, clients upload and download."""

__all__: list[str] = []
