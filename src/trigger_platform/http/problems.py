"""Errors as answers: one text for every client, our failure shape beside it (protocol 0.4)."""

from __future__ import annotations

import json
import logging
import secrets

from pydantic import ValidationError
from starlette.responses import Response

from trigger_core.errors import StoreError, TriggerError
from trigger_core.schemas.errors import ErrorBody, ErrorDetail
from trigger_platform.log_lines import request_id

__all__ = ["answer", "invalid_body", "of", "told", "unexpected", "unreadable"]

_MOST_DETAILS = 20
_UNAUTHORIZED = "unauthorized"
_log = logging.getLogger(__name__)


def answer(status: int, body: ErrorBody, headers: dict[str, str] | None = None) -> Response:
    """Return an error answer."""
    content = body.model_dump_json(by_alias=True, exclude_none=True)
    return Response(content, status, headers, "application/json")


def of(error: TriggerError) -> Response:
    """Return the answer for an error of ours; clients that would decide otherwise are told whether to retry.

    By themselves they repeat a conflict and give up on anything else below 500 (protocol 0.3).
    """
    error = told(error)
    body = ErrorBody(
        error=error.what,
        code=error.code,
        because=error.because,
        fix=error.hint,
        docs=error.docs,
        details=_of_query(error) if error.code == "INVALID_QUERY" else None,
        param="access_token" if error.code == _UNAUTHORIZED else None,
        type="authorization" if error.code == _UNAUTHORIZED else None,
    )
    status = error.status
    headers = None
    if status in {404, 409}:
        headers = {"x-should-retry": "true" if error.retryable else "false"}
    return answer(status, body, headers)


def _of_query(error: TriggerError) -> list[ErrorDetail]:
    return [ErrorDetail(code="custom", message=error.what.removeprefix("Query Error: "))]


def told(error: TriggerError) -> TriggerError:
    """Return what a client may know of an error: what is wrong with the database goes into the log."""
    if not isinstance(error, StoreError):
        return error
    number = request_id.get() or secrets.token_hex(8)
    _log.error("the database failed a request", exc_info=error)
    because = f"see the server's log for {json.dumps(number)}"
    told = StoreError("The database does not answer", code=error.code, because=because)
    told.status = 503
    return told


def invalid_body(error: ValidationError) -> Response:
    """Return the answer for a body of the wrong shape, in one sentence."""
    found = error.errors(include_url=False, include_context=False)
    first = found[0]
    if first["type"] == "json_invalid":
        return answer(
            400, ErrorBody(error="Invalid JSON", code="INVALID_JSON", because=first["msg"])
        )
    place = ".".join(str(part) for part in first["loc"]) or "body"
    text = f'Validation error: {first["msg"]} at "{place}"'
    details = [
        ErrorDetail(code=one["type"], message=one["msg"], path=[str(part) for part in one["loc"]])
        for one in found[:_MOST_DETAILS]
    ]
    return answer(400, ErrorBody(error=text, code="INVALID_BODY", details=details))


def unreadable(because: str) -> Response:
    """Return the answer for JSON, perhaps in a text of a body, that cannot be read or kept."""
    return answer(400, ErrorBody(error="Invalid JSON", code="INVALID_JSON", because=because))


def unexpected(error: Exception, path: str) -> Response:
    """Return the answer for a defect of ours; the log has the details under the same number."""
    number = request_id.get() or secrets.token_hex(8)
    _log.error("request to %s failed", path, exc_info=error)
    body = ErrorBody(
        error="Internal Server Error",
        code="INTERNAL_ERROR",
        because=f"see the server's log for {json.dumps(number)}",
    )
    return answer(500, body)
