"""Reads for the API and the dashboard: rows in, no decisions."""

__all__: list[str] = []
