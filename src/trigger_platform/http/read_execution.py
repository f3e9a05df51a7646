"""From what TypeScript workers say to what the engine takes (protocol D.7)."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from trigger_core import packet
from trigger_core.schemas.execution import AttemptResult, FlushedMetadata, SucceededAttempt
from trigger_core.schemas.metadata import MetadataUpdate
from trigger_core.schemas.workers import Completion, Failed, RetryPlan, Succeeded

__all__ = ["change", "completion"]

_log = logging.getLogger(__name__)


def completion(run_id: str, told: AttemptResult) -> Completion:
    """Return how an attempt ended; under which lease, the snapshot says."""
    duration_ms = round(told.usage.duration_ms)
    if isinstance(told, SucceededAttempt):
        return Succeeded(
            run_id=run_id,
            lease=0,
            output=told.output,
            output_type=told.output_type,
            duration_ms=duration_ms,
        )
    return Failed(
        run_id=run_id,
        lease=0,
        error=told.error,
        retry=RetryPlan(delay=round(told.retry.delay)) if told.retry else None,
        skip_retrying=told.skipped_retrying,
        duration_ms=duration_ms,
    )


def change(run_id: str, flushed: FlushedMetadata | None) -> MetadataUpdate | None:
    """Read the changes of metadata that come with the end of an attempt.

    What cannot be read is no reason to refuse the end of the attempt.
    """
    if flushed is None or flushed.data is None:
        return None
    try:
        return MetadataUpdate.model_validate(packet.to_plain(flushed.data, flushed.data_type))
    except (ValidationError, ValueError) as error:
        _log.warning("the last metadata of %s cannot be read and are left out: %s", run_id, error)
        return None
