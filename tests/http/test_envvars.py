"""Environment variables over HTTP (protocol A.11), on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import PROJECT, Platform
from trigger_core.jwt import sign
from trigger_platform.engine import environment

pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

ALL = f"/api/v1/projects/{PROJECT}/envvars/dev"
RESOLVED = f"/api/v1/projects/{PROJECT}/envvars"
PREVIEW = f"/api/v1/projects/{PROJECT}/envvars/preview"
DONE = {"success": True}


async def _post(platform: Platform, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    answer = await platform.http.post(path, json=body, headers=headers)
    return answer.status_code, answer.json()


async def _get(platform: Platform, path: str, **headers: str) -> Any:
    answer = await platform.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _given(platform: Platform, **headers: str) -> dict[str, str]:
    """What tasks get, without what the platform adds."""
    found = (await _get(platform, RESOLVED, **headers))["variables"]
    return {
        name: value for name, value in found.items() if not name.startswith(("TRIGGER_", "OTEL_"))
    }


async def test_a_variable_is_written_listed_read_and_removed(platform: Platform) -> None:
    """In the shapes the clients expect; a list is a plain array in the order of names."""
    assert await _post(platform, ALL, {"name": "B", "value": "2"}) == (200, DONE)
    assert await _post(platform, ALL, {"name": "A", "value": "1"}) == (200, DONE)

    assert await _get(platform, ALL) == [
        {"name": "A", "value": "1", "isSecret": False},
        {"name": "B", "value": "2", "isSecret": False},
    ]
    assert await _get(platform, f"{ALL}/A") == {"name": "A", "value": "1", "isSecret": False}
    assert (await platform.http.delete(f"{ALL}/A")).json() == DONE
    assert [one["name"] for one in await _get(platform, ALL)] == ["B"]


async def test_creating_one_that_exists_writes_it_over(platform: Platform) -> None:
    """As the reference does."""
    for value in ("1", "2"):
        assert await _post(platform, ALL, {"name": "A", "value": value}) == (200, DONE)

    assert await _given(platform) == {"A": "2"}


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_an_update_needs_one_that_exists(platform: Platform, method: str) -> None:
    """By either verb; what is not there is answered with 404."""
    await _post(platform, ALL, {"name": "A", "value": "1"})
    updated = await platform.http.request(method, f"{ALL}/A", json={"value": "2"})
    missing = await platform.http.request(method, f"{ALL}/B", json={"value": "2"})

    assert updated.json() == DONE
    assert (missing.status_code, missing.json()["error"]) == (404, "Environment variable not found")
    assert await _given(platform) == {"A": "2"}


async def test_what_is_not_there_is_not_found(platform: Platform) -> None:
    """To read and to remove."""
    assert (await platform.http.get(f"{ALL}/A")).status_code == 404
    assert (await platform.http.delete(f"{ALL}/A")).status_code == 404


async def test_a_secret_is_written_and_never_read(platform: Platform) -> None:
    """Only workers get its value; a write that does not call it secret leaves it one."""
    await _post(platform, ALL, {"name": "TOKEN", "value": "hunter2hunter2", "isSecret": True})
    hidden = {"name": "TOKEN", "value": "<redacted>", "isSecret": True}

    assert await _get(platform, ALL) == [hidden]
    assert await _get(platform, f"{ALL}/TOKEN") == hidden
    assert await _given(platform) == {"TOKEN": "hunter2hunter2"}
    await platform.http.put(f"{ALL}/TOKEN", json={"value": "another-one"})
    await _post(platform, ALL, {"name": "TOKEN", "value": "a-third-one"})
    assert await _get(platform, ALL) == [hidden]
    assert await _given(platform) == {"TOKEN": "a-third-one"}


@pytest.mark.parametrize(
    "name", ["", "A-B", "A B", "A=B", "ä", "A" * 256, "TRIGGER_SECRET_KEY", "TRIGGER_X"]
)
async def test_a_name_that_cannot_be_is_refused(platform: Platform, name: str) -> None:
    """Those of the platform too."""
    status, body = await _post(platform, ALL, {"name": name, "value": "1"})

    assert status == 400
    assert body["error"]
    assert await _get(platform, ALL) == []


@pytest.mark.parametrize("value", ["a\0b", "a" * 65_537])
async def test_a_value_that_no_process_can_have_is_refused(platform: Platform, value: str) -> None:
    """And is not repeated."""
    status, body = await _post(platform, ALL, {"name": "A", "value": value})

    assert (status, body["code"]) == (400, "VARIABLES_REFUSED")
    assert value not in str(body)


async def test_an_import_writes_all_or_none(platform: Platform) -> None:
    """What is set already is an error unless it may be written over; the error names each."""
    await _post(platform, ALL, {"name": "A", "value": "1"})
    given = {"variables": {"A": "2", "B": "2"}}
    status, body = await _post(platform, f"{ALL}/import", given)

    assert status == 400
    assert body["error"] == "Some of the variables are already set"
    assert body["variableErrors"] == [{"key": "A", "error": "it is set already"}]
    assert await _given(platform) == {"A": "1"}
    assert await _post(platform, f"{ALL}/import", given | {"override": True}) == (200, DONE)
    assert await _given(platform) == {"A": "2", "B": "2"}


async def test_an_import_leaves_reserved_names_out(platform: Platform) -> None:
    """A file of variables often has them."""
    variables = {"A": "1", "TRIGGER_SECRET_KEY": "tr_dev_x", "TRIGGER_API_URL": "http://x"}

    assert await _post(platform, f"{ALL}/import", {"variables": variables}) == (200, DONE)
    assert await _given(platform) == {"A": "1"}


async def test_an_import_of_secrets(platform: Platform) -> None:
    """As deploying sends them; a list of names and values will do as well."""
    body = {
        "variables": [{"name": "A", "value": "secret-a"}],
        "isSecret": True,
        "override": True,
        "source": {"type": "integration", "integration": "vault"},
    }

    assert await _post(platform, f"{ALL}/import", body) == (200, DONE)
    assert (await _get(platform, ALL))[0]["value"] == "<redacted>"


async def test_an_import_of_a_file(platform: Platform) -> None:
    """In the form of ``.env``."""
    text = "# ours\nA=1\nexport B=\"two words\"\nC='$A'\nTRIGGER_X=1\nEMPTY=\n"
    answer = await platform.http.post(
        f"{ALL}/import", files={"variables": (".env", text)}, data={"override": "true"}
    )

    assert answer.json() == DONE
    assert await _given(platform) == {"A": "1", "B": "two words", "C": "$A", "EMPTY": ""}


async def test_a_form_that_is_none_is_refused(platform: Platform) -> None:
    """With 400."""
    answer = await platform.http.post(
        f"{ALL}/import", content=b"nothing", headers={"content-type": "multipart/form-data"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")


async def _with_branches(platform: Platform) -> dict[str, str]:
    """A preview environment with two branches; returns headers with its key."""
    units, project = platform.server.units, platform.server.local.project
    parent = await units.write(environment.shared, project, "preview")
    for branch in ("one", "two"):
        await units.write(environment.create_branch, parent, branch)
    return {"authorization": f"Bearer {platform.server.secret_key_of(parent)}"}


async def test_a_branch_has_what_its_parent_has_and_its_own_before(platform: Platform) -> None:
    """Removing its own gives it the parent's again; the other branch sees none of it."""
    parent = await _with_branches(platform)
    one, two = parent | {"x-trigger-branch": "one"}, parent | {"x-trigger-branch": "two"}
    body = {
        "variables": {"B": "branch", "C": "branch"},
        "parentVariables": {"A": "parent", "B": "parent"},
    }
    assert await _post(platform, f"{PREVIEW}/import", body, **one) == (200, DONE)

    assert await _given(platform, **one) == {"A": "parent", "B": "branch", "C": "branch"}
    assert await _given(platform, **two) == {"A": "parent", "B": "parent"}
    assert await _given(platform, **parent) == {"A": "parent", "B": "parent"}
    inherited = await platform.http.delete(f"{PREVIEW}/A", headers=one)
    assert (inherited.status_code, inherited.json()["code"]) == (400, "VARIABLE_INHERITED")
    assert (await platform.http.delete(f"{PREVIEW}/B", headers=one)).json() == DONE
    assert (await _get(platform, f"{PREVIEW}/B", **one))["value"] == "parent"


async def test_a_branch_that_updates_an_inherited_secret_keeps_it_secret(
    platform: Platform,
) -> None:
    """And the parent keeps its value."""
    parent = await _with_branches(platform)
    one = parent | {"x-trigger-branch": "one"}
    await _post(
        platform, PREVIEW, {"name": "S", "value": "of-the-parent", "isSecret": True}, **parent
    )
    await platform.http.put(f"{PREVIEW}/S", json={"value": "of-the-branch"}, headers=one)

    assert (await _get(platform, f"{PREVIEW}/S", **one))["isSecret"] is True
    assert (await _given(platform, **one))["S"] == "of-the-branch"
    assert (await _given(platform, **parent))["S"] == "of-the-parent"


async def test_the_resolved_set_has_what_the_platform_gives(platform: Platform) -> None:
    """Where it is; a deployed environment's tasks get its key too, and a branch its name."""
    parent = await _with_branches(platform)
    one = parent | {"x-trigger-branch": "one"}
    dev = (await _get(platform, RESOLVED))["variables"]
    branch = (await _get(platform, RESOLVED, **one))["variables"]

    assert dev["TRIGGER_API_URL"] == "http://127.0.0.1:8030"
    assert dev["TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:8030/otel"
    assert "TRIGGER_SECRET_KEY" not in dev
    assert f"Bearer {branch['TRIGGER_SECRET_KEY']}" == parent["authorization"]
    assert branch["TRIGGER_PREVIEW_BRANCH"] == "one"


async def test_who_may(platform: Platform) -> None:
    """A key in its own environment, a token of a developer; no public token, and no other project."""
    pat = {"authorization": f"Bearer {platform.server.local.access_token}"}
    claims = {
        "sub": platform.server.local.environment.id,
        "pub": True,
        "scopes": ["read:envvars", "admin"],
    }
    public = sign(claims, platform.key, now_ms=4_102_444_800_000, life_ms=60_000)
    other = f"/api/v1/projects/proj_{'z' * 20}/envvars"

    assert (await platform.http.get(ALL, headers=pat)).status_code == 200
    assert (await platform.http.get(RESOLVED, headers=pat)).status_code == 401
    for path in (ALL, RESOLVED):
        for headers in ({"authorization": ""}, {"authorization": f"Bearer {public}"}):
            assert (await platform.http.get(path, headers=headers)).status_code == 401
    for path in (other, f"{other}/dev"):
        answer = await platform.http.get(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "Project not found")
    assert (await platform.http.get(f"{RESOLVED}/prod")).status_code == 404
