"""Pages from templates, with headers that let a page load nothing from elsewhere."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response

from trigger_core.duration import describe

__all__ = ["html", "templates"]

_TEMPLATES = Path(__file__).parent / "templates"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def html(template: str, values: dict[str, Any], status: int = 200) -> Response:
    """Return a page."""
    content = templates().get_template(template).render(values)
    return HTMLResponse(content, status, headers=_HEADERS)


@cache
def templates() -> Environment:
    """Return the templates; everything that is put into one is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = _pretty
    environment.filters["clock"] = _clock_time
    environment.filters["minute"] = _minute
    environment.filters["length_of_time"] = describe
    return environment


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _clock_time(moment: str | None) -> str:
    """Return the time of day of an ISO moment, with milliseconds."""
    return moment[11:23] if moment else "-"


def _minute(moment: str | None) -> str | None:
    """Return the day and the minute of an ISO moment."""
    return moment[:16].replace("T", " ") if moment else None
