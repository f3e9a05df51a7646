"""The shape of the whole: exports, start-up, documentation of errors."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = [
    "trigger_core",
    "trigger_sdk",
    "trigger_worker",
    "trigger_platform",
    "trigger_supervisor",
    "trigger_cli",
    "trigger_extensions",
]
ROOT = Path(__file__).parents[2]
MODULES = sorted(
    info.name
    for package in PACKAGES
    for info in pkgutil.walk_packages(
        importlib.import_module(package).__path__, prefix=f"{package}."
    )
)


@pytest.mark.parametrize("name", [*PACKAGES, *MODULES])
def test_a_module_exports_what_it_says(name: str) -> None:
    """It has a docstring, and every name of ``__all__`` exists."""
    module = importlib.import_module(name)

    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        assert hasattr(module, exported), exported


def test_what_the_sdk_exports_is_importable_by_star() -> None:
    """The list is the public surface."""
    sdk = importlib.import_module("trigger_sdk")
    public = {name for name, value in vars(sdk).items() if name[0] != "_" and name != "annotations"}
    modules = {name for name in public if type(getattr(sdk, name)).__name__ == "module"}

    assert public - modules <= set(sdk.__all__)


def _loaded_after(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(shown.stdout.split())


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    """What a web app would not want to pay for."""
    loaded = _loaded_after("import trigger_sdk")

    assert not loaded & {
        "pydantic",
        "httpx",
        "asyncio",
        "starlette",
        "typer",
        "rich",
        "sqlite3",
        "cronsim",
        "zoneinfo",
    }


def test_help_loads_no_command_and_no_library() -> None:
    """Only the table."""
    loaded = _loaded_after(
        "import sys\nfrom trigger_cli.app import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass"
    )

    assert not loaded & {"typer", "rich", "pydantic", "httpx", "asyncio", "keyring", "mcp"}
    assert not any(name.startswith("trigger_cli.commands") for name in loaded)


def test_a_platform_that_starts_loads_no_client() -> None:
    """Each costs a tenth of the start; whoever needs one loads it."""
    loaded = _loaded_after("import trigger_platform.serving")

    assert not loaded & {"httpx", "rich", "socketio", "psycopg", "opentelemetry"}


def test_every_error_code_is_documented() -> None:
    """Failures point to its heading."""
    text = (ROOT / "docs" / "reference" / "errors.md").read_text()
    headings = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    codes: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        content = file.read_text()
        codes |= set(re.findall(r'\bcode="([A-Z][A-Z_]+)"', content))
        codes |= set(re.findall(r'^    code = "([A-Z_]+)"', content, re.MULTILINE))
    engine = {code for code in codes if code.startswith("TASK_") and code not in headings}

    assert codes - engine - headings == set()
    assert headings - codes == set()


def test_no_file_names_a_package_index_or_a_folder_of_this_machine() -> None:
    """The repository works anywhere."""
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "/work" + "/main"]
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in listed:
        text = (ROOT / name).read_bytes().decode(errors="replace")
        assert [host for host in hosts if host in text] == [], name
