"""One module per noun; each function describes a call, none of them sends it."""

__all__: list[str] = []
