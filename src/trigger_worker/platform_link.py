"""The worker's link to a platform: a connection for polls, one for spans, one for everything else."""

from __future__ import annotations

from trigger_worker.channel import Channel

__all__ = ["PlatformLink"]


class PlatformLink:
    """Where the platform is, and the connections to it."""

    def __init__(self, api_url: str, secret_key: str, project_ref: str) -> None:
        self.project_ref = project_ref
        self.polls = Channel(api_url, secret_key, "poll")
        self.reports = Channel(api_url, secret_key, "report")
        self.spans = Channel(api_url, secret_key, "spans")
        self.env = {
            "TRIGGER_API_URL": api_url,
            "TRIGGER_SECRET_KEY": secret_key,
            "TRIGGER_PROJECT_REF": project_ref,
        }
        """What tasks need to reach it as well."""

    def close(self) -> None:
        """Close them."""
        self.polls.close()
        self.reports.close()
        self.spans.close()
