"""What the SDK asks of the platform about environment variables, for blocking and for async callers."""

from __future__ import annotations

from collections.abc import Mapping

from trigger_core.api.calls import envvars as calls
from trigger_core.api.calls.envvars import VariablesOf
from trigger_core.schemas.envvars import CreateVariable, ImportVariables, Variable
from trigger_sdk import _session
from trigger_sdk._host import current_run
from trigger_sdk._remote import Remote

__all__ = ["RemoteVariables"]

_WORDS = {"dev": "dev", "stg": "staging", "prod": "prod", "preview": "preview"}


class RemoteVariables(Remote):
    """The variables of an environment: the one that is named, else the one of the key."""

    async def list_all(self, project: str | None, environment: str | None) -> list[Variable]:
        """Read all."""
        return await self._send(calls.list_all(self._where(project, environment)))

    def list_all_sync(self, project: str | None, environment: str | None) -> list[Variable]:
        """Read all."""
        return self._send_sync(calls.list_all(self._where(project, environment)))

    async def read(self, name: str, project: str | None, environment: str | None) -> Variable:
        """Read one."""
        return await self._send(calls.retrieve(self._where(project, environment), name))

    def read_sync(self, name: str, project: str | None, environment: str | None) -> Variable:
        """Read one."""
        return self._send_sync(calls.retrieve(self._where(project, environment), name))

    async def create(
        self, variable: CreateVariable, project: str | None, environment: str | None
    ) -> None:
        """Write one."""
        await self._send(calls.create(self._where(project, environment), variable))

    def create_sync(
        self, variable: CreateVariable, project: str | None, environment: str | None
    ) -> None:
        """Write one."""
        self._send_sync(calls.create(self._where(project, environment), variable))

    async def update(
        self, name: str, value: str, project: str | None, environment: str | None
    ) -> None:
        """Give one another value."""
        await self._send(calls.update(self._where(project, environment), name, value))

    def update_sync(
        self, name: str, value: str, project: str | None, environment: str | None
    ) -> None:
        """Give one another value."""
        self._send_sync(calls.update(self._where(project, environment), name, value))

    async def delete(self, name: str, project: str | None, environment: str | None) -> None:
        """Remove one."""
        await self._send(calls.delete(self._where(project, environment), name))

    def delete_sync(self, name: str, project: str | None, environment: str | None) -> None:
        """Remove one."""
        self._send_sync(calls.delete(self._where(project, environment), name))

    async def upload(
        self, variables: ImportVariables, project: str | None, environment: str | None
    ) -> None:
        """Write several."""
        await self._send(calls.import_variables(self._where(project, environment), variables))

    def upload_sync(
        self, variables: ImportVariables, project: str | None, environment: str | None
    ) -> None:
        """Write several."""
        self._send_sync(calls.import_variables(self._where(project, environment), variables))

    @staticmethod
    def creation(name: str, value: str, *, is_secret: bool) -> CreateVariable:
        """Return a variable to write."""
        return CreateVariable(name=name, value=value, is_secret=is_secret)

    @staticmethod
    def importing(
        variables: Mapping[str, str],
        parent_variables: Mapping[str, str] | None,
        *,
        override: bool,
        is_secret: bool,
    ) -> ImportVariables:
        """Return variables to write."""
        return ImportVariables(
            variables=dict(variables),
            parent_variables=dict(parent_variables or {}),
            override=override,
            is_secret=is_secret,
        )

    def _where(self, project: str | None, environment: str | None) -> VariablesOf:
        active = current_run.get()
        if project is None:
            project = active.ctx.project.ref if active else _session.find_project()
        if environment is None:
            key = (self._credentials or _session.find()).secret_key
            environment = _WORDS.get(key.split("_")[1] if key.count("_") > 1 else "", "dev")
        return VariablesOf(project, environment)
