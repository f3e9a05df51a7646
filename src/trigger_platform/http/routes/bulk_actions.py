"""Actions on many runs: begin one, see how far it came, stop it (protocol A.17)."""

from __future__ import annotations

from trigger_core import clock
from trigger_core.errors import UnprocessableError
from trigger_core.schemas.bulk_actions import (
    BulkActionCounts,
    BulkActionDetail,
    BulkActionId,
    BulkActionPage,
    CreateBulkAction,
)
from trigger_core.schemas.runs import Page
from trigger_platform.engine import bulk_action
from trigger_platform.engine.bulk_action import Kind
from trigger_platform.engine.unit import Unit
from trigger_platform.http import query, run_query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.reads import bulk_actions as reads
from trigger_platform.store.rows import BulkActionRow, EnvironmentRow

__all__ = ["abort_bulk_action", "create_bulk_action", "list_bulk_actions", "read_bulk_action"]

_ALL = "/api/v1/bulk-actions"
_ONE = "/api/v1/bulk-actions/{bulk_action_id}"


@endpoint(
    "POST",
    _ALL,
    access=Access.ALL_RUNS_EDITOR,
    body=CreateBulkAction,
    returns=BulkActionId,
    statuses=(202,),
)
async def create_bulk_action(call: Incoming[CreateBulkAction]) -> Reply:
    """Cancel or replay many runs: those of a filter, or up to 500 by their ids."""
    asked = call.body
    if asked.target_region is not None:
        raise UnprocessableError(
            f"there is no region {asked.target_region}", status=422, code="REGION_UNKNOWN"
        )
    now = call.server.units.clock.now()
    choice = asked.run_ids if asked.filter is None else run_query.of_body(asked.filter, now)
    assert choice is not None  # the body says exactly one
    kind: Kind = "CANCEL" if asked.action == "cancel" else "REPLAY"
    total = await call.server.read(bulk_action.count, call.environment_id, choice)

    def work(u: Unit, environment: EnvironmentRow) -> BulkActionId:
        made = bulk_action.create(u, environment, kind, choice, total=total, name=asked.name)
        return BulkActionId(id=made.id)

    return Reply(await call.once(BulkActionId, work), status=202)


@endpoint("GET", _ALL, access=Access.ALL_RUNS_READER, returns=BulkActionPage, query=query.CURSOR)
async def list_bulk_actions(call: Incoming[None]) -> BulkActionPage:
    """List actions, newest first."""
    page = await call.server.read(
        reads.page,
        call.environment_id,
        size=call.number("page[size]", 25, low=1, high=100),
        after=call.query("page[after]"),
        before=call.query("page[before]"),
    )
    return BulkActionPage(
        data=[_detail(one) for one in page.actions],
        pagination=Page(next=page.next, previous=page.previous),
    )


@endpoint("GET", _ONE, access=Access.ALL_RUNS_READER, returns=BulkActionDetail)
async def read_bulk_action(call: Incoming[None]) -> BulkActionDetail:
    """Read how far an action came."""
    found = await call.server.read(
        bulk_action.find, call.environment_id, call.path("bulk_action_id")
    )
    return _detail(found)


@endpoint("POST", f"{_ONE}/abort", access=Access.ALL_RUNS_EDITOR, returns=BulkActionId)
async def abort_bulk_action(call: Incoming[None]) -> BulkActionId:
    """Stop an action; what is done stays done."""
    stopped = await call.server.write(
        bulk_action.abort, call.environment_id, call.path("bulk_action_id")
    )
    return BulkActionId(id=stopped.id)


def _detail(row: BulkActionRow) -> BulkActionDetail:
    return BulkActionDetail.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "type": row.type,
            "status": row.status,
            "counts": BulkActionCounts(total=row.total, success=row.success, failure=row.failure),
            "created_at": clock.to_iso(row.created_at),
            "completed_at": None if row.completed_at is None else clock.to_iso(row.completed_at),
        }
    )
