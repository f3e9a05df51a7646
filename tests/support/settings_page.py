"""The page of settings: every one with its variable, its default and its meaning.

``python -m support.settings_page`` (``make docs``) writes the page.
"""

from __future__ import annotations

from pathlib import Path

from trigger_platform.configuration import Shown, load

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
_HEAD = """\
# Settings of the server

What `trigger server` goes by. A value comes from the command line, else from a `TRIGGER_*` variable,
else from a TOML file (`--config FILE`, or `TRIGGER_CONFIG`), else it is the default. `trigger server
config` prints every setting with its value and where it comes from; secrets are never shown. Each
variable may be given as a file as well, as orchestrators mount secrets:
`TRIGGER_ENCRYPTION_KEY_FILE=/run/secrets/key`.

In the file a setting is a line: `port = 8030`, `allowed_hosts = ["platform"]`, `keep_runs = "30d"`. In a
variable a list has commas. This page is written by `make docs`; do not edit it.

| setting | variable | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(_line(one) for one in load({}, {}).shown())


def _line(one: Shown) -> str:
    value = one.value
    default = "" if value in (None, "", []) else f"`{str(value).lower()}`"
    return f"| `{one.name}` | `{one.variable}` | {default} | {one.meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
