"""Wire models, one module per noun: snake_case in code, camelCase on the wire."""

__all__: list[str] = []
