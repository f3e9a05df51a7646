"""RCE by config: the server runs no text that came from outside."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.http import Platform
from support.source import imports

SOURCE = Path(__file__).parents[2] / "src"
SERVER = sorted((SOURCE / "trigger_platform").rglob("*.py"))


@pytest.mark.parametrize("file", SERVER, ids=lambda file: str(file.relative_to(SOURCE)))
def test_rce_by_config_the_server_runs_no_text(file: Path) -> None:
    """No evaluation, no pickles, no import by a name from outside, no shell, no template of a text."""
    names = {
        "eval",
        "exec",
        "compile",
        "__import__",
        "import_module",
        "from_string",
        "system",
        "popen",
    }
    modules = {"pickle", "marshal", "shelve", "yaml", "dill", "subprocess", "ctypes"}
    assert not modules & set(imports(file))
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in names, node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in names - {"compile"}, node.lineno


def test_rce_by_config_the_server_imports_no_code_of_users() -> None:
    """Nor the SDK by which it is written."""
    for file in SERVER:
        assert not {"trigger_sdk", "trigger_worker", "trigger_cli"} & {
            name.partition(".")[0] for name in imports(file)
        }, file


async def test_rce_by_config_names_of_users_choose_no_statement(platform: Platform) -> None:
    """SQL in every name that a user gives is a name."""
    evil = "x'; drop table run; --"
    options = {
        "queue": {"name": evil},
        "concurrencyKey": evil,
        "tags": [evil],
        "idempotencyKey": evil,
        "machine": "micro",
    }
    run_id = await platform.trigger("x%27%3B%20drop%20table%20run%3B%20--", {evil: evil}, **options)
    for query in (f"filter[tag]={evil}", f"filter[queue]={evil}", f"filter[taskIdentifier]={evil}"):
        found = await platform.http.get(f"/api/v1/runs?{query}")
        assert found.status_code == 200
        assert [one["id"] for one in found.json()["data"]] in ([run_id], [])
    assert (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["tags"] == [evil]
