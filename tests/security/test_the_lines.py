"""The page about security says for each line what holds and where that is tested; here is whether it does."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
LINES = """
Auth coverage, Scope checks per verb, Tenant isolation, SSRF, RCE by config, Deserialisation, Error leakage,
Secrets at rest, API keys and tokens, Passwords and sessions, CSRF, XSS, Clickjacking and headers, JWT,
Device login, Localhost dev server, MCP, Rate and size limits, Workers, Webhooks out, Webhooks in,
Supply chain, Disclosure, Defaults
""".replace("\n", " ")
_SECTION = re.compile(r"^### (.+)\n((?:- .*\n)+)", re.MULTILINE)
_TEST = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
SECTIONS = {name: text.strip().splitlines() for name, text in _SECTION.findall(PAGE)}


@cache
def _tests(file: Path) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = ast.parse(file.read_text()).body
    return frozenset(one.name for one in found if isinstance(one, functions))


def test_the_page_has_every_line() -> None:
    """In their order, and no other."""
    assert list(SECTIONS) == [name.strip() for name in LINES.split(",")]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_line_names_tests_that_are_there_or_says_what_is_not_covered(name: str) -> None:
    """Each sentence for itself."""
    for sentence in SECTIONS[name]:
        if sentence.startswith("- Not covered: "):
            continue
        named = [
            (file, test)
            for file, test in _TEST.findall(sentence)
            if not file.startswith("http/access")
        ]
        assert named, sentence
        for file, test in named:
            assert test, sentence
            assert test in _tests(TESTS / file), f"{file}::{test}"


def test_every_suite_of_security_belongs_to_a_line() -> None:
    """No test here is on no line of the page."""
    named = {file for file, _ in _TEST.findall(PAGE)}
    here = {f"security/{file.name}" for file in Path(__file__).parent.glob("test_*.py")}
    assert here - named == set()
