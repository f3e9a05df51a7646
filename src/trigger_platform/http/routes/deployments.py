"""Deployments: list and promote them (protocol A.12), and make one (protocol E)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

from starlette.responses import Response, StreamingResponse

from trigger_core.errors import ConflictError, TriggerError, UnprocessableError
from trigger_core.schemas.base import WireModel
from trigger_core.schemas.deployments import (
    BuildProvider,
    CancelDeployment,
    DeploymentDetail,
    DeploymentId,
    DeploymentInitialized,
    DeploymentItem,
    DeploymentPage,
    DeploymentProgress,
    DeploymentStatus,
    FailDeployment,
    FinalizeDeployment,
    IndexDeployment,
    InitializeDeployment,
    PromotedDeployment,
    WorkerAddresses,
    WorkerByTag,
)
from trigger_core.schemas.workers import Registered
from trigger_platform.engine import deployment
from trigger_platform.engine.deployment import Images
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_deployments as present
from trigger_platform.http import problems, query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.parameter import Parameter, flag, words
from trigger_platform.reads import deployments as reads
from trigger_platform.reads.deployments import Filters
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow

__all__ = [
    "build_provider",
    "cancel_deployment",
    "current_deployment",
    "deployment_progress",
    "fail_deployment",
    "finalize_deployment",
    "finalize_deployment_v1",
    "finalize_deployment_v2",
    "index_deployment",
    "initialize_deployment",
    "latest_deployment",
    "list_deployments",
    "promote_deployment",
    "read_deployment",
    "read_worker",
    "registry_credentials",
]

_ALL = "/api/v1/deployments"
_ONE = "/api/v1/deployments/{deployment_id}"
_REGISTRATION_LIMIT = 32 * 1024 * 1024
_SAME_IN_LISTS = {"BUILDING": ("BUILDING", "INSTALLING")}


@endpoint(
    "GET",
    _ALL,
    access=Access.DEPLOYMENT_READER,
    returns=DeploymentPage,
    query=(
        *query.CURSOR,
        words("status", get_args(DeploymentStatus)),
        Parameter("period", "So long ago at most, such as `7d`."),
        "from",
        "to",
    ),
)
async def list_deployments(call: Incoming[None]) -> DeploymentPage:
    """List deployments, newest first."""
    asked = query.words(call, "status", get_args(DeploymentStatus))
    filters = Filters(
        statuses=[one for status in asked for one in _SAME_IN_LISTS.get(status, (status,))],
        created_from=query.since(call, "period", "from"),
        created_to=query.moment(call, "to"),
        size=min(100, max(5, call.number("page[size]", 20, low=0, high=2**31))),
        after=call.query("page[after]"),
        before=call.query("page[before]"),
    )
    return present.page(await call.server.read(reads.page, call.environment_id, filters))


@endpoint("GET", f"{_ALL}/current", access=Access.DEPLOYMENT_READER, returns=DeploymentItem)
async def current_deployment(call: Incoming[None]) -> DeploymentItem:
    """Read the deployment on which new runs execute; 404 before the first promotion."""
    return present.item(await call.server.read(reads.current, call.environment_id))


@endpoint("GET", f"{_ALL}/latest", access=Access.DEPLOYMENT_READER, returns=DeploymentDetail)
async def latest_deployment(call: Incoming[None]) -> DeploymentDetail:
    """Read the newest deployment whose machines somebody else runs."""
    return present.detail(await call.server.read(reads.latest, call.environment_id))


@endpoint("GET", _ONE, access=Access.DEPLOYMENT_READER, returns=DeploymentDetail)
async def read_deployment(call: Incoming[None]) -> DeploymentDetail:
    """Read one deployment; it has a worker once it was indexed."""
    found = await call.server.read(reads.one, call.environment_id, call.path("deployment_id"))
    return present.detail(found)


@endpoint(
    "POST",
    _ALL,
    access=Access.DEPLOYMENT_WRITER,
    body=InitializeDeployment,
    returns=DeploymentInitialized,
)
async def initialize_deployment(call: Incoming[InitializeDeployment]) -> DeploymentInitialized:
    """Begin a deployment: say under which version and tag to build."""
    if call.body.is_native_build or call.body.type == "V1":
        raise UnprocessableError(
            "this platform does not build images itself",
            status=422,
            code="NO_BUILD_SERVER",
            hint="build it where the command runs, with --local-build",
        )
    settings = call.server.settings
    images = Images(settings.deploy_registry, settings.deploy_platform)

    def work(u: Unit, here: EnvironmentRow) -> DeploymentInitialized:
        return present.initialized(deployment.initialize(u, here, call.body, images))

    return await call.once(DeploymentInitialized, work)


@endpoint(
    "POST",
    f"{_ONE}/background-workers",
    access=Access.DEPLOYMENT_WRITER,
    body=IndexDeployment,
    returns=Registered,
    body_limit=_REGISTRATION_LIMIT,
)
async def index_deployment(call: Incoming[IndexDeployment]) -> Registered:
    """Register what a deployment consists of; it serves nothing yet."""
    return await call.server.write(
        deployment.register_worker, call.environment_id, call.path("deployment_id"), call.body
    )


@endpoint(
    "POST",
    f"{_ONE}/progress",
    access=Access.DEPLOYMENT_WRITER,
    body=DeploymentProgress,
    is_body_optional=True,
    statuses=(204,),
)
async def deployment_progress(call: Incoming[DeploymentProgress]) -> Response:
    """Say that the build has come further."""
    await call.server.write(
        deployment.progress, call.environment_id, call.path("deployment_id"), call.body
    )
    return Response(status_code=204)


@endpoint(
    "POST",
    f"{_ONE}/cancel",
    access=Access.DEPLOYMENT_WRITER,
    body=CancelDeployment,
    is_body_optional=True,
    statuses=(204,),
)
async def cancel_deployment(call: Incoming[CancelDeployment]) -> Response:
    """End a build that is no longer wanted."""
    await call.server.write(
        deployment.cancel, call.environment_id, call.path("deployment_id"), call.body.reason
    )
    return Response(status_code=204)


@endpoint(
    "POST",
    f"{_ONE}/fail",
    access=Access.DEPLOYMENT_WRITER,
    body=FailDeployment,
    returns=DeploymentId,
)
async def fail_deployment(call: Incoming[FailDeployment]) -> DeploymentId:
    """Say that the build went wrong."""
    after = await call.server.write(
        deployment.fail, call.environment_id, call.path("deployment_id"), call.body.error
    )
    return DeploymentId(id=after.id)


@endpoint(
    "POST",
    "/api/v3/deployments/{deployment_id}/finalize",
    access=Access.DEPLOYMENT_WRITER,
    body=FinalizeDeployment,
    is_body_optional=True,
    media="text/event-stream",
)
async def finalize_deployment(call: Incoming[FinalizeDeployment]) -> StreamingResponse:
    """Let a deployment serve; events ``log``, then ``complete`` or ``error``."""
    return StreamingResponse(_finalizing(call), media_type="text/event-stream")


@endpoint(
    "POST",
    "/api/v2/deployments/{deployment_id}/finalize",
    access=Access.DEPLOYMENT_WRITER,
    body=FinalizeDeployment,
    returns=DeploymentId,
    is_body_optional=True,
)
async def finalize_deployment_v2(call: Incoming[FinalizeDeployment]) -> DeploymentId:
    """Let a deployment serve, as clients of an earlier version ask for it."""
    return DeploymentId(id=(await _finalize(call))[0].id)


@endpoint(
    "POST",
    "/api/v1/deployments/{deployment_id}/finalize",
    access=Access.DEPLOYMENT_WRITER,
    body=FinalizeDeployment,
    returns=DeploymentId,
    is_body_optional=True,
)
async def finalize_deployment_v1(call: Incoming[FinalizeDeployment]) -> DeploymentId:
    """Let a deployment serve, as clients of a still earlier version ask for it."""
    return DeploymentId(id=(await _finalize(call))[0].id)


@endpoint(
    "POST",
    f"{_ONE}/generate-registry-credentials",
    access=Access.DEPLOYMENT_WRITER,
    statuses=(),
)
async def registry_credentials(call: Incoming[None]) -> Response:
    """Refuse credentials for the registry: whoever builds an image is logged in there."""
    found = await call.server.read(reads.one, call.environment_id, call.path("deployment_id"))
    raise ConflictError(
        f"the platform has no credentials for {found.row.image_reference}",
        status=409,
        code="NO_REGISTRY_CREDENTIALS",
        hint="log in with `docker login` where the image is built",
    )


@endpoint(
    "GET",
    "/api/v1/remote-build-provider-status",
    access=Access.OPEN,
    returns=BuildProvider,
)
async def build_provider(_call: Incoming[None]) -> BuildProvider:
    """Say that nobody builds images for this platform; clients ask after a build elsewhere failed."""
    return BuildProvider(
        status="unknown", message="this platform does not build images; use --local-build"
    )


@endpoint(
    "POST",
    f"{_ALL}/{{version}}/promote",
    access=Access.DEPLOYMENT_WRITER,
    returns=PromotedDeployment,
    query=(flag("allowRollbacks", says="Whether the version may be older than the current one."),),
)
async def promote_deployment(call: Incoming[None]) -> PromotedDeployment:
    """Let new runs execute on a deployed version; an older one only with ``allowRollbacks=true``."""
    row = await call.server.write(
        deployment.promote,
        call.environment_id,
        call.path("version"),
        allow_rollbacks=query.flag(call, "allowRollbacks") or False,
    )
    return present.promoted(row)


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/{env}/workers/{tag}",
    access=Access.ENVIRONMENT_OR_VIEWER,
    returns=WorkerByTag,
)
async def read_worker(call: Incoming[None]) -> WorkerByTag:
    """Read a version by its name, or the ``current`` one, with its tasks."""
    found = await call.server.read(reads.version, call.environment_id, call.path("tag"))
    urls = WorkerAddresses(runs=f"{call.server.url}/runs")
    return WorkerByTag(worker=present.version(found), urls=urls)


async def _finalize(call: Incoming[FinalizeDeployment]) -> tuple[DeploymentRow, bool]:
    """Return the deployment as it is now, and whether it is current."""

    def work(u: Unit, environment: EnvironmentRow) -> tuple[DeploymentRow, bool]:
        after = deployment.finalize(
            u,
            environment,
            call.path("deployment_id"),
            promoted=not call.body.skip_promotion,
            image_digest=call.body.image_digest,
        )
        return after, deployment.is_current(u, after)

    return await call.server.write(work, call.environment_id)


async def _finalizing(call: Incoming[FinalizeDeployment]) -> AsyncIterator[str]:
    try:
        after, is_current = await _finalize(call)
    except TriggerError as error:
        yield _event("error", _Problem(error=str(problems.told(error))))
        return
    served = "new runs execute on it" if is_current else "it was not promoted"
    yield _event("log", _Line(message=f"version {after.version} is deployed, {served}"))
    yield _event("complete", DeploymentId(id=after.id))


class _Line(WireModel):
    message: str


class _Problem(WireModel):
    error: str


def _event(name: str, model: WireModel) -> str:
    return f"event: {name}\ndata: {model.model_dump_json(by_alias=True, exclude_none=True)}\n\n"
