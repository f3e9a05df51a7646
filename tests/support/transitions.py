"""Which functions of the engine write, found in their code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import trigger_platform.engine

__all__ = ["FOLDER", "writing"]

FOLDER = Path(trigger_platform.engine.__file__).parent
_WRITES = {"u.tx.run", "u.tx.many", "u.insert", "u.emit"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def writing() -> set[str]:
    """Return the public functions that reach a write, as ``module.function`` and ``module.Class.method``.

    A call is followed by its name: of a function in the same module, of one in an imported module, and of a
    method by the method's name alone, which finds too much rather than too little.
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
