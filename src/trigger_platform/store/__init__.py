"""The database: one writer, snapshot readers, named SQL, typed rows."""

__all__: list[str] = []
