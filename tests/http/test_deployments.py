"""Deployments over HTTP: begin, index, finalize, list, promote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.deploying import ALL, begin, deploy, finalize, index, metadata
from support.http import PROJECT, Platform
from support.tenants import bearer, settle
from trigger_platform.engine import environment as environments
from trigger_platform.engine import organization, project, user
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow


@pytest.fixture
async def prod(platform: Platform) -> AsyncIterator[Platform]:
    """The production environment of the project."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        yield prod


async def _read(prod: Platform, deployment_id: str) -> dict[str, Any]:
    return dict((await prod.http.get(f"{ALL}/{deployment_id}")).json())


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
async def test_a_deployment_is_built_indexed_finalized_and_current(prod: Platform) -> None:
    """Every answer has what the official client insists on, and no null beside the runtime."""
    made = await begin(prod, externalId="sha-1", gitMeta={"commitSha": "abc", "dirty": False})
    assert set(made) == {
        "id", "contentHash", "shortCode", "version", "imageTag", "imagePlatform", "externalId",
        "outcome",
    }  # fmt: skip
    tag = f"localhost:5000/trigger/{PROJECT}:{made['version']}.prod.{made['shortCode']}"
    assert (made["imageTag"], made["outcome"]) == (tag, "created")
    before = await _read(prod, made["id"])
    assert (before["status"], before["commitSHA"], "worker" in before) == ("PENDING", "abc", False)
    assert (await prod.http.get(f"{ALL}/current")).status_code == 404
    progress = await prod.http.post(f"{ALL}/{made['id']}/progress")
    assert progress.status_code == 204
    assert (await prod.http.get(ALL)).json()["data"][0]["status"] == "BUILDING"

    worker = await index(prod, made["id"], "b", "a")
    assert worker == {"id": worker["id"], "version": made["version"], "contentHash": "h"}
    indexed = await _read(prod, made["id"])
    assert (indexed["status"], indexed["worker"]["id"]) == ("DEPLOYING", worker["id"])
    assert [(one["slug"], one["filePath"]) for one in indexed["worker"]["tasks"]] == [
        ("a", "a.ts"), ("b", "b.ts"),
    ]  # fmt: skip

    digest = "sha256:" + "0" * 64
    frames = await finalize(prod, made["id"], imageDigest=digest)
    assert [name for name, _ in frames] == ["log", "complete"]
    assert "new runs execute on it" in frames[0][1]["message"]

    done = await _read(prod, made["id"])
    assert (done["status"], done["imageReference"]) == ("DEPLOYED", f"{tag}@{digest}")
    current = (await prod.http.get(f"{ALL}/current")).json()
    assert (current["id"], current["runtime"], current["runtimeVersion"]) == (
        made["id"], "node-22", "22.13.0",
    )  # fmt: skip
    assert current["git"] == {"commitSha": "abc", "dirty": False}


async def test_finalizing_again_is_answered_alike(prod: Platform) -> None:
    """A client that lost the stream asks again."""
    made = await deploy(prod, "a")

    again = await finalize(prod, made["id"])
    assert again[-1] == ("complete", {"id": made["id"]})
    for version in ("v1", "v2"):
        older = await prod.http.post(f"/api/{version}/deployments/{made['id']}/finalize")
        assert older.json() == {"id": made["id"]}


async def test_what_cannot_be_finalized_is_said_in_the_stream(prod: Platform) -> None:
    """A client that reads events sees no other answer."""
    made = await begin(prod)

    [(name, data)] = await finalize(prod, made["id"])
    assert name == "error"
    assert "cannot be finalized" in data["error"]
    [(name, data)] = await finalize(prod, "deployment_none")
    assert (name, "there is no deployment" in data["error"]) == ("error", True)


async def test_a_build_that_failed_or_was_canceled_says_why(prod: Platform) -> None:
    """And nothing happens to it any more."""
    failed, canceled = await begin(prod), await begin(prod)
    error = {"name": "SyntaxError", "message": "line 3", "stack": "at x", "stderr": "boom"}
    answer = await prod.http.post(f"{ALL}/{failed['id']}/fail", json={"error": error})
    assert answer.json() == {"id": failed["id"]}
    path = f"{ALL}/{canceled['id']}/cancel"
    assert (await prod.http.post(path, json={"reason": "no need"})).status_code == 204

    found = await _read(prod, failed["id"])
    assert (found["status"], found["errorData"]) == ("FAILED", error)
    found = await _read(prod, canceled["id"])
    assert (found["status"], found["canceledReason"]) == ("CANCELED", "no need")
    assert "errorData" not in found
    again = await prod.http.post(f"{ALL}/{failed['id']}/cancel")
    assert (again.status_code, again.headers["x-should-retry"]) == (409, "false")
    listed = (await prod.http.get(ALL, params={"status": "FAILED"})).json()["data"]
    assert [one["error"]["message"] for one in listed] == ["line 3"]


async def test_the_same_code_under_one_external_id_is_not_built_again(prod: Platform) -> None:
    """Other code is, and two builds are under way only if the first one is ended."""
    made = await deploy(prod, "a", externalId="sha-1")

    again = await begin(prod, externalId="sha-1")
    assert (again["id"], again["outcome"], again["isPromoted"]) == (made["id"], "existing", True)
    other = await begin(prod, "other", externalId="sha-1")
    assert other["outcome"] == "created"
    body = {"contentHash": "other", "externalId": "sha-1"}
    assert (await prod.http.post(ALL, json=body)).status_code == 409
    forced = await begin(prod, "other", externalId="sha-1", force=True)
    assert forced["canceledDeployments"] == [
        {"version": other["version"], "shortCode": other["shortCode"]}
    ]


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
async def test_pages_go_both_ways(prod: Platform) -> None:
    """Newest first; cursors lead to the neighbours and no further."""
    made = []
    for _ in range(12):
        made.append((await begin(prod))["id"])
        prod.clock.advance(1)
    newest = made[::-1]

    async def page(**params: str) -> tuple[list[str], dict[str, str]]:
        answer = (await prod.http.get(ALL, params={"page[size]": "5"} | params)).json()
        return [one["id"] for one in answer["data"]], answer["pagination"]

    first, cursors = await page()
    assert (first, set(cursors)) == (newest[:5], {"next"})
    second, cursors = await page(**{"page[after]": cursors["next"]})
    assert (second, set(cursors)) == (newest[5:10], {"next", "previous"})
    third, cursors = await page(**{"page[after]": cursors["next"]})
    assert (third, set(cursors)) == (newest[10:], {"previous"})
    back, cursors = await page(**{"page[before]": cursors["previous"]})
    assert (back, set(cursors)) == (newest[5:10], {"next", "previous"})
    back, cursors = await page(**{"page[before]": cursors["previous"]})
    assert (back, set(cursors)) == (newest[:5], {"next"})


async def test_lists_are_filtered_by_status_and_time(prod: Platform) -> None:
    """A period, or two moments; the size of a page is kept within 5 and 100."""
    old = await deploy(prod, "a")
    moment = prod.clock.now()
    prod.clock.advance(3_600_000 * 2)
    new = await begin(prod)

    async def listed(**params: str) -> list[str]:
        found = (await prod.http.get(ALL, params=params)).json()["data"]
        return [one["id"] for one in found]

    assert await listed(**{"page[size]": "1"}) == [new["id"], old["id"]]
    assert await listed(status="DEPLOYED") == [old["id"]]
    assert await listed(status="DEPLOYED,PENDING") == [new["id"], old["id"]]
    assert await listed(period="1h") == [new["id"]]
    assert await listed(to=str(moment)) == [old["id"]]
    assert await listed(**{"from": str(moment + 1)}) == [new["id"]]
    assert (await prod.http.get(ALL, params={"period": "soon"})).status_code == 400


async def test_an_older_version_becomes_current_only_if_that_is_allowed(prod: Platform) -> None:
    """A build that was not promoted waits for its promotion."""
    old = await deploy(prod, "a")
    new = await begin(prod)
    await index(prod, new["id"], "a")
    assert "not promoted" in (await finalize(prod, new["id"], skipPromotion=True))[0][1]["message"]

    async def promote(version: str, **params: str) -> httpx.Response:
        return await prod.http.post(f"{ALL}/{version}/promote", params=params)

    done = await promote(new["version"])
    assert done.json() == {key: new[key] for key in ("id", "version", "shortCode")}
    assert (await promote(old["version"])).status_code == 400
    assert (await promote(old["version"], allowRollbacks="true")).status_code == 200
    assert (await prod.http.get(f"{ALL}/current")).json()["id"] == old["id"]
    assert (await promote("20200101.1")).status_code == 404
    assert (await promote((await begin(prod))["version"])).status_code == 400


async def test_a_version_is_read_by_its_name_or_as_the_current_one(prod: Platform) -> None:
    """By a member of the project, or with the environment's key."""
    path = f"/api/v1/projects/{PROJECT}/prod/workers"
    assert (await prod.http.get(f"{path}/current")).status_code == 404
    made = await deploy(prod, "a")
    user = {"authorization": f"Bearer {prod.server.local.access_token}"}

    for tag, headers in (("current", user), (made["version"], None)):
        found = (await prod.http.get(f"{path}/{tag}", headers=headers)).json()
        worker = found["worker"]
        assert (worker["version"], worker["engine"]) == (made["version"], "V2")
        assert (worker["sdkVersion"], worker["cliVersion"]) == ("4.5.12", "4.5.13")
        [task] = worker["tasks"]
        assert (task["slug"], task["triggerSource"], task["queueConfig"]) == (
            "a", "STANDARD", {"name": "task/a"},
        )  # fmt: skip
        assert task["payloadSchema"] == {"type": "object"}
        assert found["urls"]["runs"].endswith("/runs")


async def test_the_newest_unmanaged_deployment_is_found(prod: Platform) -> None:
    """With the platform its client insists on."""
    assert (await prod.http.get(f"{ALL}/latest")).status_code == 404
    unmanaged = await begin(prod, type="UNMANAGED")
    await begin(prod)

    found = (await prod.http.get(f"{ALL}/latest")).json()
    assert (found["id"], found["imagePlatform"]) == (unmanaged["id"], "linux/amd64")


async def test_what_the_platform_cannot_build_is_refused(prod: Platform) -> None:
    """It has neither a build server nor credentials for a registry."""
    native = await prod.http.post(ALL, json={"contentHash": "h", "isNativeBuild": True})
    assert (native.status_code, native.json()["code"]) == (422, "NO_BUILD_SERVER")
    made = await begin(prod)
    path = f"{ALL}/{made['id']}/generate-registry-credentials"
    refused = await prod.http.post(path, json={})
    assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")


async def test_deployments_of_others_are_not_there(prod: Platform) -> None:
    """Neither those of another environment of the project nor those of another tenant."""
    made = await deploy(prod, "a")
    staging = await prod.elsewhere("staging")

    def settle(u: Unit) -> EnvironmentRow:
        person = user.create(u, "bob@example.com")
        home = organization.create(u, "Bob's", person.id)
        return environments.shared(u, project.create(u, home.id, "shop"), "prod")

    stranger = await prod.server.units.write(settle)
    keys = [staging.http.headers["authorization"], f"Bearer {prod.server.secret_key_of(stranger)}"]
    one = f"{ALL}/{made['id']}"
    calls = [
        ("GET", one, None),
        ("POST", f"{one}/progress", {}),
        ("POST", f"{one}/cancel", {}),
        ("POST", f"{one}/fail", {"error": {"name": "E", "message": "m"}}),
        ("POST", f"{one}/background-workers", {"metadata": metadata("x")}),
        ("POST", f"{one}/generate-registry-credentials", {}),
        ("POST", f"/api/v2/deployments/{made['id']}/finalize", {}),
        ("POST", f"{ALL}/{made['version']}/promote", {}),
        ("GET", f"{ALL}/current", None),
    ]
    before = await _read(prod, made["id"])
    for key in keys:
        headers = {"authorization": key}
        for method, path, body in calls:
            answer = await prod.http.request(method, path, json=body, headers=headers)
            assert answer.status_code == 404, (path, answer.text)
        assert (await prod.http.get(ALL, headers=headers)).json()["data"] == []
        after = {"page[after]": made["id"]}
        assert (await prod.http.get(ALL, headers=headers, params=after)).json()["data"] == []
    assert await _read(prod, made["id"]) == before


async def test_productions_say_what_they_run_on(prod: Platform) -> None:
    """One line for each project of the caller, by name; ``null`` where nothing is current yet."""
    server = prod.server
    acme = await settle(prod, "acme")
    mine = bearer(server.local.access_token)

    async def read(caller: dict[str, str]) -> list[dict[str, Any]]:
        answer = await prod.http.get("/api/v1/projects/runtimes", headers=caller)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    [before] = await read(mine)
    assert before["deployment"] is None
    made = await deploy(prod, "task")
    [after] = await read(mine)
    project = server.local.project
    assert after["project"] == {
        "name": project.name, "slug": project.slug, "externalRef": project.ref,
    }  # fmt: skip
    assert set(after["organization"]) == {"title", "slug"}
    assert after["environment"] == {"slug": "prod"}
    assert after["deployment"] | {"deployedAt": "x"} == {
        "runtime": "node-22",
        "runtimeVersion": "22.13.0",
        "nodeMajor": 22,
        "deployedAt": "x",
        "shortCode": made["shortCode"],
    }
    [theirs] = await read(acme.owner)
    assert (theirs["organization"]["title"], theirs["deployment"]) == ("acme", None)
    assert (await prod.http.get("/api/v1/projects/runtimes")).status_code == 401


async def test_nobody_builds_images_for_this_platform(prod: Platform) -> None:
    """Which is what a client reports whose build failed elsewhere."""
    path = "/api/v1/remote-build-provider-status"
    answer = await prod.http.get(path, headers={"authorization": ""})
    assert answer.json()["status"] == "unknown"


async def test_an_external_id_is_short(prod: Platform) -> None:
    """It is a name, not a document."""
    answer = await prod.http.post(ALL, json={"contentHash": "h", "externalId": "x" * 129})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
