"""What the SDK asks of the platform about schedules, for blocking and for async callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from trigger_core.api.calls import schedules as calls
from trigger_core.schemas.schedules import CreateSchedule, ScheduleDetail, Tick, UpdateSchedule
from trigger_sdk._remote import Remote

__all__ = ["RemoteSchedules"]


class RemoteSchedules(Remote):
    """The schedules of an environment."""

    async def create(self, fields: dict[str, Any]) -> ScheduleDetail:
        """Create a schedule."""
        return await self._send(calls.create(CreateSchedule.model_validate(fields)))

    def create_sync(self, fields: dict[str, Any]) -> ScheduleDetail:
        """Create a schedule."""
        return self._send_sync(calls.create(CreateSchedule.model_validate(fields)))

    async def update(self, ref: str, fields: dict[str, Any]) -> ScheduleDetail:
        """Say anew what a schedule is."""
        return await self._send(calls.update(ref, UpdateSchedule.model_validate(fields)))

    def update_sync(self, ref: str, fields: dict[str, Any]) -> ScheduleDetail:
        """Say anew what a schedule is."""
        return self._send_sync(calls.update(ref, UpdateSchedule.model_validate(fields)))

    async def read(self, ref: str) -> ScheduleDetail:
        """Read a schedule."""
        return await self._send(calls.retrieve(ref))

    def read_sync(self, ref: str) -> ScheduleDetail:
        """Read a schedule."""
        return self._send_sync(calls.retrieve(ref))

    async def list_all(self) -> AsyncIterator[ScheduleDetail]:
        """Go through schedules."""
        number = 1
        while True:
            page = await self._send(calls.list_page(page=number))
            for schedule in page.data:
                yield schedule
            if number >= page.pagination.total_pages:
                return
            number += 1

    def list_all_sync(self) -> Iterator[ScheduleDetail]:
        """Go through schedules."""
        number = 1
        while True:
            page = self._send_sync(calls.list_page(page=number))
            yield from page.data
            if number >= page.pagination.total_pages:
                return
            number += 1

    async def delete(self, ref: str) -> None:
        """Remove a schedule."""
        await self._send(calls.delete(ref))

    def delete_sync(self, ref: str) -> None:
        """Remove a schedule."""
        self._send_sync(calls.delete(ref))

    async def activate(self, ref: str) -> ScheduleDetail:
        """Let a schedule fire."""
        return await self._send(calls.activate(ref))

    def activate_sync(self, ref: str) -> ScheduleDetail:
        """Let a schedule fire."""
        return self._send_sync(calls.activate(ref))

    async def deactivate(self, ref: str) -> ScheduleDetail:
        """Let a schedule pass its ticks by."""
        return await self._send(calls.deactivate(ref))

    def deactivate_sync(self, ref: str) -> ScheduleDetail:
        """Let a schedule pass its ticks by."""
        return self._send_sync(calls.deactivate(ref))

    async def upcoming(self, ref: str, count: int) -> Sequence[Tick]:
        """Read ticks to come."""
        return (await self._send(calls.next_ticks(ref, count=count))).data

    def upcoming_sync(self, ref: str, count: int) -> Sequence[Tick]:
        """Read ticks to come."""
        return self._send_sync(calls.next_ticks(ref, count=count)).data

    async def timezones(self, *, exclude_utc: bool) -> Sequence[str]:
        """Read the names of time zones."""
        return (await self._send(calls.timezones(exclude_utc=exclude_utc))).timezones

    def timezones_sync(self, *, exclude_utc: bool) -> Sequence[str]:
        """Read the names of time zones."""
        return self._send_sync(calls.timezones(exclude_utc=exclude_utc)).timezones
