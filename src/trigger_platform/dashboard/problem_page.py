"""What a browser shows instead of a page that it cannot have."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.dashboard.rendering import html

__all__ = ["readable"]


def readable(request: Request, answer: Response) -> Response:
    """Return a refusal as a page, if it is one and people are going to read it."""
    is_refusal = answer.status_code >= 400 and answer.media_type == "application/json"
    if not is_refusal or "text/html" not in request.headers.get("accept", ""):
        return answer
    problem = ErrorBody.model_validate_json(bytes(answer.body))
    return html("problem.html", {"problem": problem}, answer.status_code)
