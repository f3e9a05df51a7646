"""Setting up a project: look first, then write what is missing."""

__all__: list[str] = []
