"""The dev session: watches the project, keeps a platform and a worker running, says what happens."""

__all__: list[str] = []
