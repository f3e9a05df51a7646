"""Telling those who wait that something has changed."""

__all__: list[str] = []
