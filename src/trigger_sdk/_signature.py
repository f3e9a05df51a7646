"""A task's signature is its schema.

One parameter is the payload itself; several are an object with those keys; a parameter annotated
``Context`` is filled in by the executor and belongs to neither.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError

from trigger_core import packet
from trigger_core.errors import ConfigError, InvalidPayloadError
from trigger_core.packet import Packet
from trigger_sdk.context import Context

__all__ = ["Signature"]

_SHOWN_ERRORS = 5


class Signature:
    """What a function takes and returns, read from its annotations when first needed."""

    def __init__(self, fn: Callable[..., Any], schema: Any = None) -> None:
        self._fn = fn
        self._schema = schema
        self._where = f"{inspect.unwrap(fn).__module__}.{fn.__qualname__}"

    @cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self._fn, include_extras=True)
        except NameError as error:
            raise ConfigError(
                f"the annotations of {self._where} cannot be read",
                because=str(error),
                hint="import the annotated types at run time, not only under TYPE_CHECKING",
            ) from error

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter]:
        """The payload's parameters, in order."""
        found = {}
        for name, parameter in inspect.signature(self._fn).parameters.items():
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                raise ConfigError(
                    f"{self._where} takes *{name}, which a payload cannot fill",
                    hint="name the parameters, or take one dictionary",
                )
            if self._hints.get(name) is not Context:
                found[name] = parameter
        return found

    @cached_property
    def _context_names(self) -> list[str]:
        return [
            name
            for name in inspect.signature(self._fn).parameters
            if self._hints.get(name) is Context
        ]

    @property
    def _single(self) -> inspect.Parameter | None:
        return next(iter(self._parameters.values())) if len(self._parameters) == 1 else None

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        single = self._single
        if self._schema is not None:
            return TypeAdapter(self._schema)
        if single is not None:
            return _adapter(self._hints.get(single.name, Any), self._where)
        fields: dict[str, Any] = {
            name: (
                self._hints.get(name, Any),
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for name, parameter in self._parameters.items()
        }
        return _adapter(create_model(f"{self._fn.__name__}_payload", **fields), self._where)

    @cached_property
    def _returns(self) -> TypeAdapter[Any] | None:
        hint = self._hints.get("return", Any)
        return None if hint in {Any, None, type(None)} else _adapter(hint, self._where)

    def bind(self, payload: Any, ctx: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments to call the function with.

        Raises:
            InvalidPayloadError: the payload does not fit; names the places in it.
        """
        kwargs: dict[str, Any] = dict.fromkeys(self._context_names, ctx)
        return (), kwargs | self._arguments(payload)

    def payload(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return the payload that a call with these arguments means, checked.

        Raises:
            InvalidPayloadError: the arguments do not fit.
        """
        given = self._given(args, kwargs)
        single = self._single
        if single is not None:
            return self._check(given[single.name]) if single.name in given else None
        if not self._parameters:
            return None
        self._check(given)
        return given

    def whole(self, payload: Any) -> Any:
        """Return a payload that is given as a whole, as in a batch, checked.

        Raises:
            InvalidPayloadError: it does not fit, or the function takes none.
        """
        if self._parameters:
            single = self._single
            if payload is None and single is not None and single.default is not single.empty:
                return None
            self._check(payload)
        elif payload is not None:
            raise InvalidPayloadError(f"{self._where} takes no payload", hint="give None")
        return payload

    def schema(self) -> dict[str, Any] | None:
        """Return the JSON Schema of the payload, or ``None`` when there is none to give."""
        if not self._parameters:
            return None
        try:
            return self._adapter.json_schema()
        except PydanticUserError:
            return None

    def write_output(self, value: Any) -> Packet:
        """Write what the function returned.

        Raises:
            UnserializableError: it cannot be written.
        """
        return packet.encode(value, name="output")

    def read_output(self, value: Any) -> Any:
        """Read an output into what the function is annotated to return, if that is possible."""
        if self._returns is None or value is None:
            return value
        try:
            return self._returns.validate_python(value)
        except ValidationError:
            return value

    @staticmethod
    def read(kind: Any, value: Any) -> Any:
        """Read a value into a type.

        Raises:
            InvalidPayloadError: it does not fit; names the places in it.
        """
        try:
            return _adapter(kind, str(kind)).validate_python(value)
        except ValidationError as error:
            raise InvalidPayloadError(
                f"the value does not fit {getattr(kind, '__name__', kind)}",
                because="; ".join(_complaints(error)),
            ) from None

    def _arguments(self, payload: Any) -> dict[str, Any]:
        single = self._single
        if single is not None:
            if payload is None and single.default is not single.empty:
                return {}
            return {single.name: self._check(payload)}
        if not self._parameters:
            return {}
        checked = self._check({} if payload is None else payload)
        return {name: getattr(checked, name) for name in self._parameters}

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        without_context = inspect.Signature(list(self._parameters.values()))
        try:
            return dict(without_context.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise InvalidPayloadError(
                f"these arguments do not fit {self._where}", because=str(error)
            ) from error

    def _check(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidPayloadError(
                f"the payload does not fit {self._where}",
                because="; ".join(_complaints(error)),
                hint="compare the payload with the annotations of the function",
            ) from None


def _adapter(hint: Any, where: str) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except PydanticUserError as error:
        raise ConfigError(
            f"{where} is annotated with a type that has no schema",
            because=str(error).splitlines()[0],
            hint="annotate with pydantic models, dataclasses, TypedDicts or built-in types",
        ) from error


def _complaints(error: ValidationError) -> list[str]:
    found = [
        f"{_place(one['loc'])}: {one['msg']}"
        for one in error.errors(include_url=False, include_context=False)
    ]
    more = len(found) - _SHOWN_ERRORS
    return [*found[:_SHOWN_ERRORS], *([f"and {more} more"] if more > 0 else [])]


def _place(location: tuple[int | str, ...]) -> str:
    text = "payload"
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text
