"""How an attempt that raised is reported."""

from __future__ import annotations

import random

import pytest

from trigger_core.errors import ApiError
from trigger_core.retry import RetryPolicy
from trigger_worker import outcome


@pytest.mark.behaviour(233)
@pytest.mark.parametrize(
    ("status", "skips"),
    [(400, True), (404, True), (409, True), (422, True), (408, False), (429, False), (503, False)],
)
def test_a_call_the_platform_refused_is_no_reason_to_try_again(status: int, skips: bool) -> None:
    """One that it could not take is; the pause is the policy's."""
    error = ApiError("no", status=status)
    message = outcome.failed(error, 1, RetryPolicy(), random.Random(1))

    assert message["skip"] is skips
    assert (message["retry"] is None) is skips
