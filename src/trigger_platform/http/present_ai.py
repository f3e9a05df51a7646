"""What a span says of a call to a language model, in OpenTelemetry's words for generative AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trigger_core.schemas.traces import AiCall

__all__ = ["call_of"]

_MODEL = ("gen_ai.response.model", "gen_ai.request.model")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CACHED = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cached_input_tokens")


def call_of(properties: Mapping[str, Any], duration_ms: float) -> AiCall | None:
    """Return the call that a span stands for; ``None`` when it names no model."""
    model = _text(properties, _MODEL)
    if model is None:
        return None
    told, made = _number(properties, _INPUT) or 0, _number(properties, _OUTPUT) or 0
    return AiCall(
        model=model,
        provider=_text(properties, _PROVIDER) or "unknown",
        operation_name=_text(properties, ("gen_ai.operation.name",)) or "unknown",
        input_tokens=told,
        output_tokens=made,
        total_tokens=told + made,
        cached_tokens=_number(properties, _CACHED),
        tokens_per_second=round(made / duration_ms * 1000, 1) if made and duration_ms else None,
        duration_ms=duration_ms,
        finish_reason=_first(properties.get("gen_ai.response.finish_reasons")),
        response_text=_text(properties, ("ai.response.text",)),
    )


def _text(properties: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    found = (properties.get(name) for name in names)
    return next((one for one in found if isinstance(one, str) and one), None)


def _number(properties: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (properties.get(name) for name in names)
    numbers = (one for one in found if isinstance(one, int | float) and not isinstance(one, bool))
    return next((int(one) for one in numbers), None)


def _first(value: Any) -> str | None:
    one = value[0] if isinstance(value, list) and value else value
    return one if isinstance(one, str) else None
