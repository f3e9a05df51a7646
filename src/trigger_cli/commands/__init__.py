"""One module per command; each is loaded only when it is used."""

__all__: list[str] = []
