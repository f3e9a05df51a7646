"""Which functions of the engine write, found in their code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import trigger_platform.engine
from trigger_platform.store.sqlite import DIALECT
from trigger_platform.store.statements import load

__all__ = ["FOLDER", "writing"]

FOLDER = Path(trigger_platform.engine.__file__).parent
_WRITES = {"u.tx.run", "u.tx.many", "u.tx.later", "u.insert", "u.record", "u.emit"}
_WRITING_STATEMENTS = {
    name
    for name, text in load(DIALECT).items()
    if re.search(r"^\s*(insert|update|delete) ", text, re.MULTILINE)
}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def writing() -> set[str]:
    """Return the public functions that reach a write, as ``module.function`` and ``module.Class.method``.

    A call is followed by its name: of a function in the same module, of one in an imported module, and of a
    method by the method's name alone, which finds too much rather than too little. A statement that returns
    what it removes is a write, however it is executed.
    """
    calls = {name: called for file in FOLDER.glob("*.py") for name, called in _calls(file)}
    found = {name for name, called in calls.items() if called & _WRITES}
    while more := {name for name, called in calls.items() if called & found} - found:
        found |= more
    return {name for name in found if not any(part.startswith("_") for part in name.split("."))}


def _calls(file: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the functions of a module, each with the names of what it calls."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    for node in module.body:
        if isinstance(node, _Function):
            yield f"{file.stem}.{node.name}", set(_called(node, file.stem))
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, _Function):
                    name = f"{file.stem}.{node.name}.{method.name}"
                    yield name, set(_called(method, file.stem))


def _called(function: _Function, module: str) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).replace("self.", "", 1)
            yield name if "." in name else f"{module}.{name}"
            yield name.removeprefix("_")
            if name.startswith("u.tx.") and _statement(node) in _WRITING_STATEMENTS:
                yield "u.tx.run"


def _statement(call: ast.Call) -> object:
    """Return the name of the statement that is executed, if it is written where the call is."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) else None
