"""The supervisor: takes runs of deployments from a platform and places each with a runner (protocol F)."""

__all__: list[str] = []
