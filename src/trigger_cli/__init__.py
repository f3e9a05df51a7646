"""The developer's terminal: commands over the platform's API, and the dev session."""

__all__: list[str] = []
