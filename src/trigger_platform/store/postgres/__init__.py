"""PostgreSQL behind the :class:`~trigger_platform.store.database.Database` interface."""

__all__: list[str] = []
