"""The process that executes tasks: it indexes the project, forks executors, and answers to the platform."""

__all__: list[str] = []
