"""The run engine: functions over a unit of work; all state is in the database."""

__all__: list[str] = []
