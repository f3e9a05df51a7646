"""OpenTelemetry's protocol over HTTP: what was exported, read from JSON or protobuf, within limits."""

__all__: list[str] = []
