"""A list in a query: written with commas, or each part alone, or both; read the same by all who look at it.

The gate asks whether a caller may have all that a list names, and the route then gives all that it names.
"""

from __future__ import annotations

from starlette.requests import Request

__all__ = ["parts"]


def parts(request: Request, name: str) -> list[str]:
    """Return the parts of a list."""
    given = request.query_params.getlist(name)
    return [text for part in given for text in part.split(",") if text]
