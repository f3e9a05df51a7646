"""SSRF: one client asks addresses that others chose. What it refuses: ``operation/test_outbound.py``."""

from __future__ import annotations

from pathlib import Path

from support.source import imports

SOURCE = Path(__file__).parents[2] / "src"


def test_ssrf_one_module_sends_requests_to_addresses_that_others_chose() -> None:
    """Beside it only the bucket is asked, whose address the operator sets."""
    clients = {
        "httpx",
        "httpcore",
        "urllib.request",
        "http.client",
        "aiohttp",
        "requests",
        "socket",
    }
    found = {
        str(file.relative_to(SOURCE / "trigger_platform"))
        for file in (SOURCE / "trigger_platform").rglob("*.py")
        if clients & set(imports(file))
    }
    assert found <= {"outbound.py", "blobs/s3.py", "serving.py"}
